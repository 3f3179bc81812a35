// Mouse, pen and finger on the text: select, choose a mark, drag its edges.
//
// A finger that moves up or down scrolls, as the browser does it; sideways, or after a short hold, it selects.

import { sameSpan, snap } from "./spans.js";
import { scrollerOf } from "./watch.js";

const HOLD = 350;
const SLOP = 8;
const EDGE = 40;

export class Pointer {
  constructor(pane) {
    this.pane = pane;
    this.drag = null;
    const { root } = pane;
    root.addEventListener("pointerdown", (event) => this.#down(event));
    root.addEventListener("pointermove", (event) => this.#move(event));
    root.addEventListener("pointerup", (event) => this.#up(event));
    root.addEventListener("pointercancel", () => this.cancel());
    root.addEventListener("dragstart", (event) => event.preventDefault());
    root.addEventListener("contextmenu", (event) => this.drag?.finger && event.preventDefault());
    // While a finger selects, the page must not scroll; only a listener that may prevent it can say so.
    root.addEventListener("touchmove", (event) => this.drag?.firm && event.cancelable && event.preventDefault(), { passive: false });
  }

  cancel() {
    if (!this.drag) return;
    clearTimeout(this.drag.timer);
    this.drag = null;
    this.pane.preview(null);
  }

  #down(event) {
    const { pane } = this;
    if (event.button !== 0 || !event.isPrimary || event.target.closest(".tools")) return;
    this.cancel();
    const edge = event.target.closest(".grip")?.dataset.edge;
    const tag = event.target.closest(".tag");
    const unit = this.unitAt(event.clientX, event.clientY);
    if (!edge && !tag && !unit) {
      pane.escape();
      return;
    }
    const finger = event.pointerType === "touch";
    this.drag = { edge, tag, from: unit, to: unit, moved: false, finger, firm: Boolean(edge), x: event.clientX, y: event.clientY };
    pane.cursor.clear();
    pane.root.setPointerCapture(event.pointerId);
    if (finger && !edge) this.drag.timer = setTimeout(() => this.#hold(), HOLD);
    this.#preview();
  }

  #hold() {
    if (!this.drag) return;
    this.drag.firm = true;
    this.#preview();
  }

  #move(event) {
    const { drag } = this;
    if (!drag) return;
    if (drag.finger && !drag.firm && !this.#decide(event)) return;
    drag.x = event.clientX;
    drag.y = event.clientY;
    this.#follow();
    if (!drag.scrolling && this.#scrollBy()) this.#scroll();
  }

  // Whether a finger that has just begun to move selects; up or down is left to the browser, which scrolls.
  #decide({ clientX, clientY }) {
    const [across, down] = [Math.abs(clientX - this.drag.x), Math.abs(clientY - this.drag.y)];
    if (Math.max(across, down) < SLOP) return false;
    if (down >= across) this.cancel();
    else this.drag.firm = true;
    return across > down;
  }

  #follow() {
    const { drag } = this;
    const unit = this.unitAt(drag.x, drag.y) ?? this.#nearest(drag.x, drag.y);
    if (!unit || (drag.to && unit[0] === drag.to[0])) return;
    drag.from ??= unit;
    drag.to = unit;
    drag.moved = drag.firm = true;
    clearTimeout(drag.timer);
    this.#preview();
  }

  #scrollBy() {
    const { drag, pane } = this;
    const scroller = drag?.moved ? scrollerOf(pane.root) : null;
    if (!scroller) return 0;
    const { top, bottom } = scroller.getBoundingClientRect();
    if (drag.y < top + EDGE) return (drag.y - top - EDGE) / 3;
    return drag.y > bottom - EDGE ? (drag.y - bottom + EDGE) / 3 : 0;
  }

  #scroll() {
    const by = this.#scrollBy();
    if (this.drag) this.drag.scrolling = Boolean(by);
    if (!by) return;
    scrollerOf(this.pane.root).scrollBy(0, by);
    this.#follow();
    requestAnimationFrame(() => this.#scroll());
  }

  #up(event) {
    const { drag, pane } = this;
    if (!drag) return;
    this.#move(event);
    if (!this.drag) return;
    const stretch = this.#stretch();
    this.cancel();
    if (drag.edge && drag.moved) {
      if (stretch && pane.chosen) pane.replace(pane.chosen, [...stretch, pane.chosen[2]]);
    } else if (drag.tag && !drag.moved) this.#tag(drag.tag);
    else if (drag.moved && stretch) pane.pick(stretch);
    else if (drag.from) this.#click(drag.from);
  }

  #tag(tag) {
    const { pane } = this;
    const [start, end, ...label] = tag.dataset.m.split(" ");
    const span = [Number(start), Number(end), label.join(" ")];
    // A removed mark that is shown against the text's marks comes back with a click.
    if (tag.dataset.state === "removed") pane.pick([span[0], span[1]], span[2]);
    else pane.choose(span);
  }

  #click(unit) {
    const { pane } = this;
    const covering = pane.spansAt(unit);
    if (!covering.length) {
      pane.pick(unit);
      return;
    }
    const chosen = pane.chosen ? covering.findIndex((span) => sameSpan(span, pane.chosen)) : -1;
    pane.choose(covering[(chosen + 1) % covering.length], unit);
  }

  #stretch() {
    const { drag, pane } = this;
    if (!drag.to) return null;
    if (!drag.edge) return snap(pane.tokens, Math.min(drag.from[0], drag.to[0]), Math.max(drag.from[1], drag.to[1]));
    const [start, end] = pane.chosen ?? [0, 0];
    const ends = drag.edge === "start" ? [Math.min(drag.to[0], end - 1), end] : [start, Math.max(drag.to[1], start + 1)];
    const whole = pane.characters ? ends : this.#whole(ends, drag.edge);
    return snap(pane.tokens, ...whole);
  }

  // An edge dragged past the other one leaves the word at that end.
  #whole([start, end], edge) {
    const { pane } = this;
    if (edge === "start") return start === end - 1 ? [pane.wordAt(end - 1)[0], end] : [start, end];
    return end === start + 1 ? [start, pane.wordAt(start)[1]] : [start, end];
  }

  #preview() {
    const { drag, pane } = this;
    const onMark = !drag.moved && !drag.edge && !drag.firm && (drag.tag || (drag.from && pane.spansAt(drag.from).length));
    pane.preview(onMark ? null : this.#stretch());
  }

  /** The piece of text at a place on the screen as [start, end], or null. */
  unitAt(x, y) {
    const { pane } = this;
    const under = pane.root.getRootNode().elementFromPoint(x, y);
    if (!under || !pane.root.contains(under)) return null;
    const node = under.closest(".t") ?? [...(under.closest("mark")?.querySelectorAll(".t") ?? [])].at(-1);
    if (node) return [Number(node.dataset.s), Number(node.dataset.e)];
    const block = pane.blocks.find((other) => other.node === under && !other.nodes);
    if (!block) return null;
    pane.blockAt(block.start);
    return this.unitAt(x, y);
  }

  // Between words, beside or below the text: the closest piece on the line under the pointer.
  #nearest(x, y) {
    const { left, right, top, bottom } = this.pane.root.getBoundingClientRect();
    const line = Math.min(Math.max(y, top + 4), bottom - 4);
    for (let step = 0; step < right - left; step = step * 1.5 + 4) {
      for (const at of [x - step, x + step]) {
        const unit = at >= left && at <= right ? this.unitAt(at, line) : null;
        if (unit) return unit;
      }
    }
    return null;
  }
}
