// The small bar at a chosen mark: which label it has, mark the clicked word too, remove.

import { colourOf, patternOf } from "./colours.js";
import { el } from "./dom.js";
import { textOf } from "./spans.js";
import { scrollerOf } from "./watch.js";

export class Toolbar {
  constructor(pane) {
    this.pane = pane;
    this.span = null;
    this.root = el("div", { class: "tools", role: "toolbar", "aria-label": pane.strings.tools, hidden: true });
    this.sizes = new ResizeObserver(() => this.#place());
    this.sizes.observe(pane.root);
  }

  show(span, word = null) {
    const { pane } = this;
    const { strings } = pane;
    const label = span[2];
    this.span = span;
    const button = (name, sign, act) =>
      el("button", { type: "button", class: name, tabindex: -1, onclick: act }, sign);
    const remove = button("tool-remove", "✕", () => pane.remove(span));
    remove.setAttribute("aria-label", strings.remove(label));
    remove.title = `${strings.remove(label)} (Del)`;
    const also = word && pane.overlapping && this.#freeLabel(word) ? strings.markToo(textOf(pane.tokens, word)) : null;
    this.root.replaceChildren(
      el("span", { class: `tag ${patternOf(pane.labels, label)}`, style: `--c:${colourOf(pane.labels, label)}` }, label),
      ...(also ? [button("tool-also", `+ ${textOf(pane.tokens, word)}`, () => this.#markToo(word))] : []), remove);
    if (also) this.root.querySelector(".tool-also").setAttribute("aria-label", also);
    this.root.hidden = false;
    this.#place();
  }

  /** The active label where the word does not have it yet, else the next that it has not. */
  #freeLabel(word) {
    const { spans, labels, on } = this.pane;
    const taken = new Set(spans.filter((span) => span[0] === word[0] && span[1] === word[1]).map((span) => span[2]));
    return [on.label(), ...labels].find((label) => !taken.has(label)) ?? null;
  }

  // The new mark is chosen at once, so that a label's key or chip says what it is.
  #markToo(word) {
    const span = [...word, this.#freeLabel(word)];
    this.pane.pick(word, span[2]);
    this.pane.choose(span);
  }

  hide() {
    this.span = null;
    this.root.hidden = true;
  }

  stop() {
    this.sizes.disconnect();
  }

  #place() {
    if (!this.span) return;
    const nodes = this.pane.nodesIn(this.span);
    if (!nodes.length) {
      this.root.hidden = true;
      return;
    }
    const around = this.pane.root.getBoundingClientRect();
    const first = nodes[0].getClientRects()[0] ?? nodes[0].getBoundingClientRect();
    const own = this.root.getBoundingClientRect();
    const top = scrollerOf(this.pane.root)?.getBoundingClientRect().top ?? 0;
    const above = first.top - own.height - 12;
    const below = nodes.at(-1).getBoundingClientRect().bottom + 8;
    const left = Math.min(first.left - around.left, around.width - own.width);
    this.root.style.left = `${Math.max(0, left)}px`;
    this.root.style.top = `${(above < top ? below : above) - around.top}px`;
  }
}
