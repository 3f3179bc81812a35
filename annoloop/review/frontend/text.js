// Draws one text: tokens, marks, and the selection by pointer. Redraws only the paragraphs that change.

import { el } from "./dom.js";
import { lanes, paragraphs, snap, spanAt, visible } from "./core.js";

export class TextPane {
  /** `pick(span)` is called for a stretch selected, `drop(span)` for a mark clicked. */
  constructor({ pick, drop, colour, overlapping, removeTitle }) {
    Object.assign(this, { pick, drop, colour, overlapping, removeTitle });
    this.root = el("div", { class: "text" });
    this.tokens = [];
    this.spans = [];
    this.drag = null;
    if (pick) this.#listen();
  }

  /** Another text. */
  show(tokens, spans) {
    this.tokens = tokens;
    this.spans = spans;
    this.#clearDrag();
    this.stretches = paragraphs(tokens);
    this.blocks = this.stretches.map(() => el("p", { dir: "auto" }));
    this.nodes = new Array(tokens.length);
    this.root.replaceChildren(...this.blocks);
    this.stretches.forEach((_, index) => this.#draw(index));
  }

  /** Other spans on the same text. */
  mark(spans) {
    const before = this.spans;
    this.spans = spans;
    const changed = [...spans.filter((s) => !before.includes(s)), ...before.filter((s) => !spans.includes(s))];
    this.stretches.forEach(([from, to], index) => {
      if (changed.some((span) => span.start < to && span.end > from)) this.#draw(index);
    });
  }

  #draw(index) {
    const [from, to] = this.stretches[index];
    const here = this.spans.filter((span) => span.start < to && span.end > from);
    const block = this.blocks[index];
    block.replaceChildren();
    if (this.overlapping) this.#drawLanes(block, from, to, here);
    else this.#drawMarks(block, from, to, here);
  }

  #drawMarks(block, from, to, spans) {
    let at = from;
    for (const span of spans) {
      const start = Math.max(span.start, from);
      const end = Math.min(span.end, to);
      for (; at < start; at += 1) block.append(...this.#token(at));
      const mark = el("mark", { style: `--c:${this.colour(span.label)}`, title: this.removeTitle(span.label) });
      for (; at < end; at += 1) mark.append(...this.#token(at, at === end - 1));
      const tag = el("span", { class: "tag" }, span.label);
      // The label stays on the line of the last word, unless that is longer than a line may be.
      const last = this.nodes[end - 1];
      mark.append(this.tokens[end - 1][0].length > 30 ? tag : el("span", { class: "end" }, last, tag));
      block.append(mark);
      // The blank after a mark belongs to the line, not to the mark.
      if (this.tokens[end - 1][1]) block.append(" ");
    }
    for (; at < to; at += 1) block.append(...this.#token(at));
  }

  #drawLanes(block, from, to, spans) {
    const lane = lanes(spans);
    const deepest = Math.max(-1, ...lane);
    block.style.setProperty("--lanes", deepest + 1);
    for (let at = from; at < to; at += 1) {
      const [node, ...blank] = this.#token(at);
      const continues = spans.some((span) => at >= span.start && at < span.end - 1);
      // A blank inside a span lies in the token, so that the bar below runs through.
      if (continues) node.append(...blank);
      spans.forEach((span, index) => {
        if (at >= span.start && at < span.end) node.append(this.#bar(span, at, from, lane[index]));
      });
      block.append(node, ...(continues ? [] : blank));
    }
  }

  #bar(span, at, from, lane) {
    const bar = el("i", { class: "bar", style: `--c:${this.colour(span.label)};--lane:${lane}` });
    if (at === Math.max(span.start, from)) {
      bar.append(el("span", { class: "tag", title: this.removeTitle(span.label) }, span.label));
    }
    return bar;
  }

  #token(index, bare = false) {
    const [text, blank] = this.tokens[index];
    const node = el("span", { class: "t" }, visible(text));
    node.dataset.i = index;
    this.nodes[index] = node;
    return blank && !bare ? [node, document.createTextNode(" ")] : [node];
  }

  #listen() {
    this.root.addEventListener("pointerdown", (event) => this.#start(event));
    this.root.addEventListener("pointermove", (event) => this.#move(event));
    this.root.addEventListener("pointerup", (event) => this.#end(event));
    this.root.addEventListener("pointercancel", () => this.#clearDrag());
    // The browser's own selection would only be in the way.
    this.root.addEventListener("dragstart", (event) => event.preventDefault());
  }

  #start(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    const index = this.#tokenAt(event);
    if (index === null) return;
    if (event.pointerType === "mouse") event.preventDefault();
    this.drag = { from: index, to: index, moved: false, onTag: this.#spanOfTag(event.composedPath()[0]) };
    this.root.setPointerCapture(event.pointerId);
    this.#preview();
  }

  #move(event) {
    if (!this.drag) return;
    const index = this.#tokenAt(event);
    if (index === null || index === this.drag.to) return;
    this.drag.to = index;
    this.drag.moved = true;
    this.#preview();
  }

  #end(event) {
    const drag = this.drag;
    if (!drag) return;
    this.#move(event);
    this.#clearDrag();
    const covering = drag.onTag || spanAt(this.spans, drag.from);
    if (drag.from === drag.to && covering && (drag.onTag || !this.overlapping || !drag.moved)) {
      this.drop(covering);
      return;
    }
    const span = snap(this.tokens, drag.from, drag.to);
    if (span) this.pick(span);
  }

  #clearDrag() {
    this.drag = null;
    this.#preview();
  }

  #preview() {
    for (const node of this.lit || []) node.classList.remove("sel", "sel-first", "sel-last");
    const span = this.drag && snap(this.tokens, this.drag.from, this.drag.to);
    const onMark = this.drag && this.drag.from === this.drag.to && spanAt(this.spans, this.drag.from);
    this.lit = span && !onMark ? this.nodes.slice(span.start, span.end) : [];
    this.lit.forEach((node, index) => {
      node.classList.add("sel");
      if (index === 0) node.classList.add("sel-first");
      if (index === this.lit.length - 1) node.classList.add("sel-last");
    });
  }

  #spanOfTag(node) {
    if (!node?.classList?.contains("tag")) return null;
    const first = node.closest("mark")?.querySelector(".t") || node.closest(".t");
    const label = node.textContent;
    const index = Number(first?.dataset.i);
    return this.spans.find((s) => s.label === label && s.start <= index && index < s.end) || null;
  }

  // With the pointer captured, events name the pane; what lies under it is asked for by its place.
  #tokenAt({ clientX, clientY }) {
    const tree = this.root.getRootNode();
    const under = tree.elementFromPoint(clientX, clientY);
    const inside = under && this.root.contains(under) ? under : null;
    const token = inside?.closest(".t");
    if (token) return Number(token.dataset.i);
    const mark = inside?.closest("mark");
    if (mark) return Number([...mark.querySelectorAll(".t")].at(-1).dataset.i);
    return this.drag ? this.#nearest(clientX, clientY) : null;
  }

  // Between words or beside the text: the closest token on the line under the pointer.
  #nearest(x, y) {
    const tree = this.root.getRootNode();
    for (const step of [4, 8, 16, 32, 64]) {
      for (const at of [x - step, x + step]) {
        const token = tree.elementFromPoint(at, y)?.closest?.(".t");
        if (token && this.root.contains(token)) return Number(token.dataset.i);
      }
    }
    return null;
  }
}
