// Keeps a Queue and the server in step: one call in flight, everything unacknowledged sent again.

import { post } from "./transport.js";

const SOON = 400;
const AT_ONCE = 20;
const DRAFT = 1_500;
// Longer than the server waits for a locked database: then it says so itself.
const TIMEOUT = 25_000;
const WAIT_FOR_TEXTS = 4_000;
const RENEW = 120_000;
const LEASE_ENDS = 540_000;
const RETRIES = [500, 1_000, 2_000, 4_000, 8_000];
const KEEPALIVE_BYTES = 60_000;
const DETOUR_LASTS = 60_000;
const TRY_DETOUR_AFTER = 3;

/**
 * `state` is "saved", "unsaved", "offline", "stale" (the token is not taken: reload) or "failed" (the
 * server could not save, `why` says it). `onChange` is called after every change of queue or state.
 */
export class Synchronizer {
  constructor({ queue, url, token, onChange, detour = null, fetcher = fetch.bind(globalThis), clock = Date.now }) {
    Object.assign(this, { queue, url, token, onChange, detour, fetcher, clock });
    this.detourUntil = 0;
    this.client = null;
    this.trouble = null;
    this.why = "";
    this.failures = 0;
    this.inFlight = false;
    this.again = false;
    this.timer = null;
    this.lastSuccess = this.clock();
    this.lastUse = this.clock();
  }

  /** Begin; before the tab has its name nothing is sent. */
  start(client) {
    this.client = client;
    return this.sync();
  }

  get state() {
    if (this.trouble) return this.trouble;
    return this.queue.unsaved.size ? "unsaved" : "saved";
  }

  /** Something was decided, or the annotator asks: send soon, or at once. */
  push({ atOnce = false } = {}) {
    this.used();
    const running = this.queue.tasks.length < 6 || this.queue.unsaved.size > 40;
    this.#schedule(atOnce || running ? AT_ONCE : SOON);
  }

  /** Something was begun and is not decided: it goes along soon. */
  pushDraft() {
    this.used();
    this.#schedule(DRAFT);
  }

  /** The annotator is there. After a long absence the leases are asked for anew. */
  used() {
    const away = this.clock() - this.lastUse;
    this.lastUse = this.clock();
    if (away > RENEW && !this.inFlight) this.#schedule(AT_ONCE);
  }

  setToken(token) {
    if (token === this.token) return;
    this.token = token;
    if (this.trouble) this.#schedule(AT_ONCE);
  }

  /** The tab is being closed or hidden: a last call that outlives it. */
  flush() {
    if (!this.client || (!this.queue.unsaved.size && !this.queue.drafts.unsent().length)) return;
    const request = { ...this.queue.request(this.client), want: 0 };
    delete request.before;
    const body = JSON.stringify(request);
    // What does not fit into a keepalive call stays in localStorage for the next visit.
    if (body.length < KEEPALIVE_BYTES) post(this.fetcher, this.url, this.token, body, { keepalive: true });
  }

  async sync() {
    clearTimeout(this.timer);
    this.timer = null;
    if (!this.client) return;
    if (this.inFlight) {
      this.again = true;
      return;
    }
    this.inFlight = true;
    this.again = false;
    this.running = this.#call();
    try {
      await this.running;
    } finally {
      this.inFlight = false;
    }
    this.#plan();
    this.onChange();
  }

  /** Wait until what was decided so far is saved, for a few calls at most. */
  async settle() {
    for (let call = 0; call < 3 && this.queue.unsaved.size && !this.trouble; call += 1) {
      await (this.inFlight ? this.running : this.sync());
    }
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  /** A call of another of our routes: {status, ok, reply}. */
  ask(url, body) {
    return post(this.fetcher, url, this.token, JSON.stringify(body));
  }

  async #call() {
    const anew = this.clock() - this.lastSuccess > LEASE_ENDS;
    const request = this.queue.request(this.client, { anew });
    const { status, ok, reply } = await this.#send(request);
    if (!ok || !reply?.acked) {
      this.#failed(status, reply);
      return;
    }
    this.queue.receive(reply, request, { anew });
    this.lastSuccess = this.clock();
    this.failures = 0;
    this.trouble = null;
  }

  async #send(request) {
    if (this.detour && this.clock() < this.detourUntil) return this.#goRound(request, { status: 0 });
    const abort = new AbortController();
    const timeout = setTimeout(() => abort.abort(), TIMEOUT);
    const options = { signal: abort.signal };
    const came = await post(this.fetcher, this.url, this.token, JSON.stringify(request), options);
    clearTimeout(timeout);
    // What is not our server's answer may be a proxy that lets only the page's own socket through.
    const blocked = came.status || this.failures >= TRY_DETOUR_AFTER;
    return came.reply || !blocked || !this.detour ? came : this.#goRound(request, came);
  }

  async #goRound(request, came) {
    const reply = await this.detour.send(request);
    // Then the route is tried again: it carries more, and the trouble may have been a passing one.
    if (reply && this.clock() >= this.detourUntil) this.detourUntil = this.clock() + DETOUR_LASTS;
    return reply ? { status: 200, ok: Boolean(reply.acked), reply } : came;
  }

  #failed(status, reply) {
    this.failures += 1;
    this.why = reply?.message || `HTTP ${status}`;
    if (status === 401 || status === 403) this.trouble = "stale";
    else this.trouble = reply?.message ? "failed" : "offline";
  }

  #plan() {
    if (this.trouble) {
      this.#schedule(RETRIES[Math.min(this.failures, RETRIES.length) - 1]);
    } else if (this.again || this.queue.unsaved.size || this.queue.drafts.unsent().length) {
      this.#schedule(this.again ? AT_ONCE : SOON);
    } else if (!this.queue.current) {
      this.#schedule(WAIT_FOR_TEXTS);
    } else if (this.clock() - this.lastUse < LEASE_ENDS) {
      // An idle tab lets its leases end, so that others get the texts.
      this.#schedule(RENEW);
    }
  }

  #schedule(wait) {
    const now = this.clock();
    // A timer that is overdue slept with the computer, and would go on sleeping for what was left of it.
    const slept = this.timer !== null && this.due < now;
    if (slept) wait = Math.min(wait, AT_ONCE);
    const due = now + wait;
    if (this.timer !== null && !slept && this.due <= due) return;
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => this.sync(), wait);
  }
}
