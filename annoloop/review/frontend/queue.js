// The texts at hand, the decisions made, and those not yet known to be saved. No DOM, no network.

import { Drafts } from "./drafts.js";
import { Shelf } from "./shelf.js";

const REFILL_BELOW = 12;
const KEEP = 24;
// The server takes no more than these.
const HELD = 50;
const ANSWERS_A_CALL = 200;
const CHARACTERS_A_CALL = 2_000_000;

/** 24 hex digits. crypto.randomUUID is missing on plain HTTP. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const marksOf = ({ labels = [], spans = [], comment = "", flagged = false }) => ({ labels, spans, comment, flagged });

/**
 * One annotator's queue in one browser tab.
 *
 * `storage` is localStorage or null; every answer stays in it until the server has acknowledged it, so
 * that neither a reload nor a closed tab loses one. Tabs of one annotator share it: an answer sent twice
 * is saved once, by its id. `mode` is "label" or "adjudicate".
 */
export class Queue {
  constructor({ storage, prefix, mode = "label", clock = Date.now, newId = randomId }) {
    Object.assign(this, { mode, clock, newId });
    this.shelf = new Shelf(storage, prefix);
    this.tasks = [];
    this.history = [];
    this.unsaved = new Map();
    this.refused = new Map();
    this.returned = new Set();
    this.reopened = null;
    this.progress = null;
    this.decided = 0;
    this.historyAsked = false;
    this.historyEnds = false;
    this.fetching = false;
    this.lastSeq = Number(this.shelf.read("seq")) || 0;
    this.drafts = new Drafts({ shelf: this.shelf, nextSeq: () => this.#nextSeq() });
    this.lastSeq = Math.max(this.lastSeq, this.drafts.lastSeq);
    this.#restore();
  }

  /** Whether the browser keeps what it is given. */
  get safe() {
    return this.shelf.safe;
  }

  get current() {
    return this.reopened?.task || this.tasks[0] || null;
  }

  /** Decide on the current task; returns the answer, or null where there is no task. */
  decide(verdict, marks, milliseconds) {
    const task = this.current;
    if (!task) return null;
    const earlier = this.reopened?.answer;
    const answer = this.#answer(task, verdict, marks, milliseconds);
    const isOther = (other) => other.task_hash !== task.task_hash;
    this.tasks = this.tasks.filter(isOther);
    this.history = this.history.filter((entry) => isOther(entry.task));
    this.history.push({ task, answer, earlier });
    this.reopened = null;
    this.drafts.drop(task.task_hash);
    this.#dismiss(task.task_hash);
    this.decided += 1;
    this.#keep(answer);
    return answer;
  }

  /**
   * Take the last decision back: its text is current again, marked as it was decided. A decision made
   * on a reopened text gives way to the one before it, which is in force again.
   */
  undo() {
    const last = this.history.pop();
    if (!last) return null;
    const { task, answer, earlier } = last;
    if (earlier) {
      const again = this.#answer(task, earlier.verdict, earlier, 0);
      this.#keep(again);
      this.reopen({ task, answer: again }, marksOf(answer));
    } else {
      this.#keep({ ...this.#answer(task, answer.verdict, answer, 0), retracted: true });
      this.reopened = null;
      this.drafts.put(task.task_hash, marksOf(answer));
      this.#hold([task, ...this.tasks.filter((other) => other.task_hash !== task.task_hash)]);
    }
    this.decided = Math.max(0, this.decided - 1);
    return task;
  }

  /** Bring a decided text to the front, with its answer; a decision on it is one more answer. */
  reopen({ task, answer, changed = null }, marks = null) {
    this.reopened = { task, answer, changed };
    this.#follow(answer.seq);
    if (marks) this.drafts.put(task.task_hash, marks, { local: true });
  }

  /** Leave the reopened text as it was decided. */
  leave() {
    if (!this.reopened) return false;
    this.drafts.drop(this.reopened.task.task_hash);
    this.reopened = null;
    return true;
  }

  /** Put the current text behind all others at hand; false where there is no other. */
  postpone() {
    if (this.reopened || this.tasks.length < 2) return false;
    this.tasks.push(this.tasks.shift());
    return true;
  }

  /** Keep what was begun on the current text. */
  keepDraft(draft) {
    if (this.current) this.drafts.put(this.current.task_hash, draft, { local: Boolean(this.reopened) });
  }

  /** What a text begins with: what was begun on it, else its answer, else its suggestion. */
  beginning(task) {
    const answer = this.reopened?.task === task ? this.reopened.answer : null;
    return this.drafts.get(task.task_hash) || answer || task.suggestion || { labels: [], spans: [] };
  }

  /** Why an answer to this text was refused, or "". */
  refusal(task) {
    return this.#refusedOf(task)?.reason || "";
  }

  /** Whether an undo could be answered by the server though none is at hand. */
  get mayHaveMore() {
    return !this.historyEnds;
  }

  /** The next call brings the texts here that wait in this annotator's other windows. */
  fetchHere() {
    this.fetching = true;
  }

  /** The next call's body. `anew` forgets the texts at hand: their leases may have ended. */
  request(client, { anew = false } = {}) {
    const have = anew ? [] : this.tasks.map((task) => task.task_hash);
    const body = {
      client,
      mode: this.mode,
      answers: this.#answersToSend(),
      drafts: this.drafts.unsent(),
      have,
      want: have.length < REFILL_BELOW ? KEEP - have.length : 0,
    };
    if (!this.historyAsked || (this.history.length < 3 && !this.historyEnds)) {
      body.before = this.history.length ? this.history[0].answer.seq : null;
    }
    if (this.fetching) body.fetch = true;
    return body;
  }

  /** Take the server's reply to `request` in. */
  receive(reply, request, { anew = false } = {}) {
    for (const id of reply.acked) this.#forget(id);
    if (request.fetch) this.fetching = false;
    this.drafts.saved(request.drafts || [], reply.drafted || []);
    if (anew) {
      const still = this.tasks[0] && reply.tasks.findIndex((t) => t.task_hash === this.tasks[0].task_hash);
      const fresh = [...reply.tasks];
      if (still > 0) fresh.unshift(...fresh.splice(still, 1));
      this.tasks = [];
      this.#add(fresh);
    } else {
      // What others have by now goes, but for the text that is being looked at.
      const gone = new Set(reply.gone || []);
      this.tasks = this.tasks.filter((task, index) => index === 0 || !gone.has(task.task_hash));
      this.#add(reply.tasks);
    }
    for (const { answer_id: id, reason } of reply.refused) this.#refuse(id, reason);
    if (reply.history) this.#addHistory(reply.history, request);
    this.#follow(reply.last_seq ?? 0);
    this.progress = reply.progress;
  }

  /**
   * Done and open in the round of the current task (else in all), and what this annotator did, with what
   * the server cannot know yet. To adjudicate, what is open are the texts that people disagree on.
   */
  counts() {
    if (!this.progress) return null;
    const { rounds, done: allDone, open: allOpen, mine, disputed } = this.progress;
    const unsaved = [...this.unsaved.values()];
    const pending = unsaved.reduce((sum, answer) => sum + (answer.retracted ? -1 : 1), 0);
    if (this.mode === "adjudicate") return { left: Math.max(0, (disputed ?? 0) - pending) };
    const round = this.current && rounds[String(this.current.round)];
    const [done, open] = round || [allDone, allOpen];
    const all = done + open;
    return {
      done: Math.max(0, Math.min(all, done + pending)),
      all,
      inRound: Boolean(round),
      mine: mine === undefined ? null : Math.max(0, mine + pending),
    };
  }

  dismissRefused() {
    for (const id of this.refused.keys()) this.shelf.erase(`refused.${id}`);
    this.refused.clear();
  }

  #nextSeq() {
    this.lastSeq = Math.max(this.clock() * 1000, this.lastSeq + 1);
    this.shelf.write("seq", String(this.lastSeq));
    return this.lastSeq;
  }

  /** What was decided or begun elsewhere, where the clock may be ahead: what comes now is newer. */
  #follow(seq) {
    this.lastSeq = Math.max(this.lastSeq, seq);
  }

  /** The last ones wait on the server for this tab, or go to others. */
  #hold(tasks) {
    this.tasks = tasks.slice(0, HELD);
  }

  #answersToSend() {
    let room = CHARACTERS_A_CALL;
    const chosen = [];
    for (const answer of this.unsaved.values()) {
      room -= JSON.stringify(answer).length;
      if (chosen.length && (room < 0 || chosen.length === ANSWERS_A_CALL)) break;
      chosen.push(answer);
    }
    return chosen;
  }

  #answer(task, verdict, marks, milliseconds) {
    return {
      answer_id: this.newId(),
      task_hash: task.task_hash,
      seq: this.#nextSeq(),
      verdict,
      ...marksOf(marks),
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
      this.drafts.take(task);
      this.#follow(task.draft?.seq ?? 0);
      const refused = this.#refusedOf(task);
      if (refused && !this.drafts.get(task.task_hash)) this.drafts.put(task.task_hash, marksOf(refused.answer));
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
    for (const { answer } of older) this.#follow(answer.seq);
  }

  #keep(answer) {
    this.unsaved.set(answer.answer_id, answer);
    this.shelf.write(`answer.${answer.answer_id}`, answer);
  }

  #forget(id) {
    this.unsaved.delete(id);
    this.shelf.erase(`answer.${id}`);
  }

  /** An answer that was not taken: its text comes next, as it was marked, with the reason. */
  #refuse(id, reason) {
    const answer = this.unsaved.get(id);
    if (!answer) return;
    const entry = this.history.find((other) => other.answer.answer_id === id);
    this.history = this.history.filter((other) => other !== entry);
    this.refused.set(id, { answer, reason });
    this.shelf.write(`refused.${id}`, { answer, reason });
    this.#forget(id);
    const hash = answer.task_hash;
    // What is refused twice would come back for ever.
    if (!entry || this.returned.has(hash) || this.tasks.some((task) => task.task_hash === hash)) return;
    this.returned.add(hash);
    this.drafts.put(hash, marksOf(answer));
    // Never in place of the text that is being looked at: the next key would go to the wrong one.
    this.#hold([...this.tasks.slice(0, 1), entry.task, ...this.tasks.slice(1)]);
  }

  #refusedOf(task) {
    return [...this.refused.values()].find(({ answer }) => answer.task_hash === task.task_hash);
  }

  #dismiss(taskHash) {
    for (const [id, { answer }] of this.refused) {
      if (answer.task_hash !== taskHash) continue;
      this.refused.delete(id);
      this.shelf.erase(`refused.${id}`);
    }
  }

  #restore() {
    const kept = (beginning) => this.shelf.names(beginning).map((name) => this.shelf.readJson(name)).filter(Boolean);
    const unsaved = kept("answer.").sort((a, b) => a.seq - b.seq);
    this.unsaved = new Map(unsaved.map((answer) => [answer.answer_id, answer]));
    this.refused = new Map(kept("refused.").map((entry) => [entry.answer.answer_id, entry]));
    for (const answer of unsaved) this.#follow(answer.seq);
  }
}
