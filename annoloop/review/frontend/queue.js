// The texts at hand, the decisions made, and those not yet known to be saved. No DOM, no network.

const REFILL_BELOW = 12;
const KEEP = 24;
const ANSWERS_A_CALL = 200;

/** 24 hex digits. crypto.randomUUID is missing on plain HTTP. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * One annotator's queue in one browser tab.
 *
 * `storage` is localStorage or null; every answer stays in it until the server has acknowledged it, so
 * that neither a reload nor a closed tab loses one. Tabs of one annotator share it: an answer sent twice
 * is saved once, by its id.
 */
export class Queue {
  constructor({ storage, prefix, clock = Date.now, newId = randomId }) {
    Object.assign(this, { storage, prefix, clock, newId });
    this.tasks = [];
    this.history = [];
    this.unsaved = new Map();
    this.refused = new Map();
    this.drafts = new Map();
    this.progress = null;
    this.decided = 0;
    this.safe = Boolean(storage);
    this.historyAsked = false;
    this.historyEnds = false;
    this.lastSeq = Number(this.#read("seq")) || 0;
    this.#restore();
  }

  get current() {
    return this.tasks[0] || null;
  }

  /** Decide on the current task; returns the answer, or null where there is no task. */
  decide(verdict, { labels = [], spans = [] }, milliseconds) {
    const task = this.tasks.shift();
    if (!task) return null;
    const answer = this.#answer(task, verdict, labels, spans, milliseconds);
    this.drafts.delete(task.task_hash);
    this.history.push({ task, answer });
    this.decided += 1;
    this.#keep(answer);
    return answer;
  }

  /** Take the last decision back: its text is current again, marked as it was decided. */
  undo() {
    const last = this.history.pop();
    if (!last) return null;
    const { task, answer } = last;
    const { verdict, labels, spans } = answer;
    this.#keep({ ...this.#answer(task, verdict, labels, spans, 0), retracted: true });
    this.drafts.set(task.task_hash, { labels, spans });
    this.tasks = [task, ...this.tasks.filter((other) => other.task_hash !== task.task_hash)];
    this.decided = Math.max(0, this.decided - 1);
    return task;
  }

  /** Whether an undo could be answered by the server though none is at hand. */
  get mayHaveMore() {
    return !this.historyEnds;
  }

  /** The next call's body. `anew` forgets the texts at hand: their leases may have ended. */
  request(client, { anew = false } = {}) {
    const have = anew ? [] : this.tasks.map((task) => task.task_hash);
    const body = {
      client,
      answers: [...this.unsaved.values()].slice(0, ANSWERS_A_CALL),
      have,
      want: have.length < REFILL_BELOW ? KEEP - have.length : 0,
    };
    if (!this.historyAsked || (this.history.length < 3 && !this.historyEnds)) {
      body.before = this.history.length ? this.history[0].answer.seq : null;
    }
    return body;
  }

  /** Take the server's reply to `request` in. */
  receive(reply, request, { anew = false } = {}) {
    for (const id of reply.acked) this.#forget(id);
    for (const { answer_id: id, reason } of reply.refused) this.#refuse(id, reason);
    if (anew) {
      const still = this.current && reply.tasks.findIndex((t) => t.task_hash === this.current.task_hash);
      const fresh = [...reply.tasks];
      if (still > 0) fresh.unshift(...fresh.splice(still, 1));
      this.tasks = [];
      this.#add(fresh);
    } else {
      this.#add(reply.tasks);
    }
    if (reply.history) this.#addHistory(reply.history, request);
    this.progress = reply.progress;
  }

  /** Done and open in the round of the current task (else in all), with what the server cannot know yet. */
  counts() {
    if (!this.progress) return null;
    const round = this.current && this.progress.rounds[String(this.current.round)];
    const [done, open] = round || [this.progress.done, this.progress.open];
    const pending = [...this.unsaved.values()].reduce((sum, answer) => sum + (answer.retracted ? -1 : 1), 0);
    const all = done + open;
    return { done: Math.max(0, Math.min(all, done + pending)), all, inRound: Boolean(round) };
  }

  dismissRefused() {
    for (const id of this.refused.keys()) this.#erase(`refused.${id}`);
    this.refused.clear();
  }

  #answer(task, verdict, labels, spans, milliseconds) {
    this.lastSeq = Math.max(this.clock() * 1000, this.lastSeq + 1);
    this.#write("seq", String(this.lastSeq));
    return {
      answer_id: this.newId(),
      task_hash: task.task_hash,
      seq: this.lastSeq,
      verdict,
      labels,
      spans,
      milliseconds: Math.max(0, Math.min(2 ** 31 - 1, Math.round(milliseconds))),
    };
  }

  #add(tasks) {
    const known = new Set(this.tasks.map((task) => task.task_hash));
    const last = new Map();
    for (const answer of this.unsaved.values()) last.set(answer.task_hash, answer);
    for (const task of tasks) {
      const answered = last.get(task.task_hash);
      if (known.has(task.task_hash) || (answered && !answered.retracted)) continue;
      known.add(task.task_hash);
      this.tasks.push(task);
    }
  }

  #addHistory(older, request) {
    const known = new Set(
      [...this.tasks, ...this.history.map((entry) => entry.task)].map((task) => task.task_hash),
    );
    const fresh = older.filter(({ task }) => !known.has(task.task_hash)).reverse();
    this.history.unshift(...fresh);
    this.historyAsked = true;
    if (older.length === 0) this.historyEnds = true;
    // A page of history that brings nothing new and does not move on would be asked for for ever.
    if (older.length && fresh.length === 0 && request.before !== null) this.historyEnds = true;
    for (const { answer } of older) this.lastSeq = Math.max(this.lastSeq, answer.seq);
  }

  #keep(answer) {
    this.unsaved.set(answer.answer_id, answer);
    this.#write(`answer.${answer.answer_id}`, JSON.stringify(answer));
  }

  #forget(id) {
    this.unsaved.delete(id);
    this.#erase(`answer.${id}`);
  }

  #refuse(id, reason) {
    const answer = this.unsaved.get(id);
    if (!answer) return;
    this.refused.set(id, reason);
    this.history = this.history.filter((entry) => entry.answer.answer_id !== id);
    this.#write(`refused.${id}`, JSON.stringify({ answer, reason }));
    this.#forget(id);
  }

  #restore() {
    for (const name of this.#names()) {
      const stored = name.startsWith("answer.") || name.startsWith("refused.") ? parsed(this.#read(name)) : null;
      if (!stored) continue;
      if (name.startsWith("answer.")) this.unsaved.set(stored.answer_id, stored);
      else this.refused.set(stored.answer.answer_id, stored.reason);
    }
    const inOrder = [...this.unsaved.entries()].sort((a, b) => a[1].seq - b[1].seq);
    this.unsaved = new Map(inOrder);
    for (const [, answer] of inOrder) this.lastSeq = Math.max(this.lastSeq, answer.seq);
  }

  #names() {
    try {
      const keys = Array.from({ length: this.storage.length }, (_, index) => this.storage.key(index));
      return keys.filter((key) => key.startsWith(this.prefix)).map((key) => key.slice(this.prefix.length));
    } catch {
      this.safe = false;
      return [];
    }
  }

  #read(name) {
    try {
      return this.storage.getItem(this.prefix + name);
    } catch {
      this.safe = false;
      return null;
    }
  }

  #write(name, value) {
    try {
      this.storage.setItem(this.prefix + name, value);
    } catch {
      this.safe = false;
    }
  }

  #erase(name) {
    try {
      this.storage.removeItem(this.prefix + name);
    } catch {
      this.safe = false;
    }
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
