// The two ways to the server: its own route, and where a proxy blocks that, Streamlit's websocket.

const DETOUR_EVERY = 1_000;
const DETOUR_ANSWERS_WITHIN = 10_000;

/**
 * One call of a route. Returns {status, reply}; `reply` is null where what answered is not our server
 * (a proxy's page, nothing at all): `status` is 0 then, or the proxy's.
 */
export async function post(fetcher, url, token, body, options = {}) {
  try {
    const response = await fetcher(url, {
      method: "POST",
      body,
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", "X-Annoloop-Token": token },
      ...options,
    });
    const reply = await response.json().catch(() => null);
    const ours = reply !== null && typeof reply === "object" && (response.ok || "message" in reply);
    return { status: response.status, ok: response.ok && ours, reply: ours ? reply : null };
  } catch {
    return { status: 0, ok: false, reply: null };
  }
}

/**
 * Calls carried by the component's state value. It keeps the last value only, and each new one runs
 * the page's script: so at most one a second, each with all that is unsaved.
 */
export class Detour {
  constructor({ clock = Date.now, newId, wait = DETOUR_ANSWERS_WITHIN }) {
    Object.assign(this, { clock, newId, wait });
    this.setState = null;
    this.lastCall = -Infinity;
    this.waiting = null;
  }

  /** Send a request (an object); resolves to the reply, or null where none comes. */
  async send(request) {
    const early = Math.min(DETOUR_EVERY, this.lastCall + DETOUR_EVERY - this.clock());
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    if (!this.setState) return null;
    this.lastCall = this.clock();
    const id = this.newId();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#answer(id, null), this.wait);
      this.waiting = { id, resolve, timer };
      try {
        this.setState("call", { id, body: request });
      } catch {
        this.#answer(id, null);
      }
    });
  }

  /** The component's data came, with the reply to the last call or that to an older one. */
  deliver(reply) {
    if (reply?.id) this.#answer(reply.id, reply.body ?? null);
  }

  #answer(id, body) {
    if (this.waiting?.id !== id) return;
    clearTimeout(this.waiting.timer);
    const { resolve } = this.waiting;
    this.waiting = null;
    resolve(body);
  }
}
