// What was begun on a text and not decided yet. No DOM, no network.

const A_CALL = 50;

/**
 * A draft is {labels, spans, comment, flagged, part}. It is written to localStorage at once and goes to
 * the server with the next call; there it is safe, and the browser's copy goes. The newest wins, by `seq`.
 */
export class Drafts {
  constructor({ shelf, nextSeq }) {
    Object.assign(this, { shelf, nextSeq });
    this.known = new Map();
    for (const name of shelf.names("draft.")) {
      const kept = shelf.readJson(name);
      if (kept?.draft) this.known.set(name.slice("draft.".length), { ...kept, sent: false });
    }
  }

  get(taskHash) {
    return this.known.get(taskHash)?.draft || null;
  }

  /** The highest `seq` that was given to a draft. */
  get lastSeq() {
    return Math.max(0, ...[...this.known.values()].map((entry) => entry.seq));
  }

  /** Keep a draft. One that is `local` stays in this browser: its text is decided, and is so on the server. */
  put(taskHash, draft, { local = false } = {}) {
    const entry = { seq: this.nextSeq(), draft, local };
    this.known.set(taskHash, { ...entry, sent: false });
    this.shelf.write(`draft.${taskHash}`, entry);
  }

  /** A text came, perhaps with what was begun on it elsewhere. */
  take(task) {
    const mine = this.known.get(task.task_hash);
    const theirs = task.draft;
    if (mine && !mine.sent && !mine.local && !((theirs?.seq ?? 0) > mine.seq)) return;
    this.drop(task.task_hash);
    if (theirs) this.known.set(task.task_hash, { seq: theirs.seq ?? 0, draft: theirs, local: false, sent: true });
  }

  drop(taskHash) {
    this.known.delete(taskHash);
    this.shelf.erase(`draft.${taskHash}`);
  }

  /** The drafts to send with the next call. */
  unsent() {
    return [...this.known]
      .filter(([, entry]) => !entry.sent && !entry.local)
      .slice(0, A_CALL)
      .map(([task_hash, { seq, draft }]) => ({ task_hash, seq, draft }));
  }

  /** The server has taken the drafts of these texts; one that was changed meanwhile is sent again. */
  saved(sent, taskHashes) {
    const taken = new Set(taskHashes);
    for (const { task_hash: hash, seq } of sent) {
      const entry = this.known.get(hash);
      if (!entry || entry.seq !== seq || !taken.has(hash)) continue;
      entry.sent = true;
      this.shelf.erase(`draft.${hash}`);
    }
  }
}
