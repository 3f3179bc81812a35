// Tells when a block of the text comes near the screen.

/** The nearest element around `node` that scrolls, through shadow roots; null: the page itself. */
export function scrollerOf(node) {
  for (let at = node.parentNode; at; at = at.parentNode ?? at.host) {
    if (at instanceof Element && /auto|scroll/.test(getComputedStyle(at).overflowY)) return at;
  }
  return null;
}

export class Watch {
  constructor(near) {
    this.near = near;
  }

  start(nodes) {
    this.stop();
    if (!nodes.length) return;
    // The text may be put into the page only after it was shown.
    const begin = () => {
      if (!nodes[0].isConnected) this.frame = requestAnimationFrame(begin);
      else this.#observe(nodes);
    };
    this.frame = requestAnimationFrame(begin);
  }

  #observe(nodes) {
    this.observer = new IntersectionObserver(
      (entries) => entries.forEach(({ isIntersecting, target }) => {
        if (!isIntersecting) return;
        this.observer.unobserve(target);
        this.near(target);
      }),
      { root: scrollerOf(nodes[0]), rootMargin: "600px 0px" });
    for (const node of nodes) this.observer.observe(node);
  }

  stop() {
    cancelAnimationFrame(this.frame);
    this.observer?.disconnect();
  }
}
