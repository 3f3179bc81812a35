// Keeps a Queue and the server in step: one call in flight, everything unacknowledged sent again.

const SOON = 400;
const AT_ONCE = 20;
const TIMEOUT = 15_000;
const WAIT_FOR_TEXTS = 4_000;
const RENEW = 120_000;
const LEASE_ENDS = 540_000;
const RETRIES = [500, 1_000, 2_000, 4_000, 8_000];
const KEEPALIVE_BYTES = 60_000;

/**
 * `state` is "saved", "unsaved", "offline", "stale" (the token is not taken: reload) or "failed" (the
 * server could not save, `why` says it). `onChange` is called after every change of queue or state.
 */
export class Synchronizer {
  constructor({ queue, url, token, onChange, fetcher = fetch.bind(globalThis), clock = Date.now }) {
    Object.assign(this, { queue, url, token, onChange, fetcher, clock });
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
    if (!this.queue.unsaved.size || !this.client) return;
    const request = { ...this.queue.request(this.client), want: 0 };
    delete request.before;
    const body = JSON.stringify(request);
    // What does not fit into a keepalive call stays in localStorage for the next visit.
    if (body.length < KEEPALIVE_BYTES) this.fetcher(this.url, { ...this.#options(body), keepalive: true }).catch(() => {});
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
    try {
      await this.#call();
    } finally {
      this.inFlight = false;
    }
    this.#plan();
    this.onChange();
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  async #call() {
    const anew = this.clock() - this.lastSuccess > LEASE_ENDS;
    const request = this.queue.request(this.client, { anew });
    const abort = new AbortController();
    const timeout = setTimeout(() => abort.abort(), TIMEOUT);
    try {
      const response = await this.fetcher(this.url, {
        ...this.#options(JSON.stringify(request)),
        signal: abort.signal,
      });
      const reply = await response.json().catch(() => null);
      if (!response.ok || !reply?.acked) {
        this.#failed(response.status, reply);
        return;
      }
      this.queue.receive(reply, request, { anew });
      this.lastSuccess = this.clock();
      this.failures = 0;
      this.trouble = null;
    } catch {
      this.#failed(0, null);
    } finally {
      clearTimeout(timeout);
    }
  }

  #failed(status, reply) {
    this.failures += 1;
    this.why = reply?.message || `HTTP ${status}`;
    if (status === 401 || status === 403) this.trouble = "stale";
    else this.trouble = reply?.message ? "failed" : "offline";
  }

  #options(body) {
    return {
      method: "POST",
      body,
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", "X-Annoloop-Token": this.token },
    };
  }

  #plan() {
    if (this.trouble) {
      this.#schedule(RETRIES[Math.min(this.failures, RETRIES.length) - 1]);
    } else if (this.again || this.queue.unsaved.size) {
      this.#schedule(this.again ? AT_ONCE : SOON);
    } else if (!this.queue.current) {
      this.#schedule(WAIT_FOR_TEXTS);
    } else if (this.clock() - this.lastUse < LEASE_ENDS) {
      // An idle tab lets its leases end, so that others get the texts.
      this.#schedule(RENEW);
    }
  }

  #schedule(wait) {
    const due = this.clock() + wait;
    if (this.timer !== null && this.due <= due) return;
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => this.sync(), wait);
  }
}
