// One text with its marks: shown, selected, edited. Spans are [start, end, label] in code points.
//
// The text is divided into blocks. A block is plain text until it comes near the screen; an edit redraws
// only the blocks that it touches, and the browser lays out only those in view (content-visibility).

import { Cursor } from "./cursor.js";
import { el } from "./dom.js";
import { blocksOf, drawBlock, drawPlain } from "./draw.js";
import { measuring } from "./measure.js";
import { partStarts } from "./parts.js";
import { Pointer } from "./pointer.js";
import {
  addSpan, anyOverlap, changed, chop, compared, moveEdge, removeSpan, sameSpan, snap, sorted, spansAt, textLength, textOf,
  tokenAt,
} from "./spans.js";
import { paneStrings } from "./text_strings.js";
import { Toolbar } from "./toolbar.js";
import { Watch } from "./watch.js";

const AT_ONCE = 900;

export class TextPane {
  #characters = false;

  /** Without `change` the text is read-only. What the callbacks mean stands at their use below. */
  constructor({ labels, overlapping = false, lang = "en", change = null, label, say, mode, chose }) {
    this.labels = labels;
    this.overlapping = overlapping;
    this.strings = paneStrings(lang);
    this.editable = Boolean(change);
    this.on = { change, label, say: say ?? (() => {}), mode: mode ?? (() => {}), chose: chose ?? (() => {}) };
    this.root = el("div", { class: this.editable ? "text editable" : "text" });
    this.measure = () => measuring(this.root);
    this.watch = new Watch((node) => this.#enter(node));
    Object.assign(this, { tokens: [], blocks: [], lit: [], partStarts: [0], partsDone: 0, dividers: [] });
    this.#clear([]);
    if (!this.editable) return;
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", this.strings.text);
    // A ring around the whole text only for those who come to it by key; the word's own ring says the rest.
    this.root.addEventListener("focus", ({ relatedTarget }) =>
      this.root.classList.toggle("entered", Boolean(relatedTarget) && !this.root.contains(relatedTarget) && !this.pointer.drag));
    this.root.addEventListener("blur", () => this.root.classList.remove("entered"));
    this.toolbar = new Toolbar(this);
    this.cursor = new Cursor(this);
    this.pointer = new Pointer(this);
  }

  /** Another text. Returns the spans that lie outside it and therefore cannot be shown. */
  show(tokens, spans, { partsDone = 0, lang = "" } = {}) {
    this.#clear(chop(tokens));
    this.root.lang = lang;
    const length = textLength(this.tokens);
    const inside = ([start, end]) => start >= 0 && start < end && end <= length;
    this.#setSpans(spans.filter(inside));
    this.partStarts = partStarts(this.tokens);
    this.partsDone = Math.min(partsDone, this.parts);
    this.#build();
    return spans.filter((span) => !inside(span));
  }

  #clear(tokens) {
    this.pointer?.cancel();
    this.tokens = tokens;
    this.spans = [];
    this.against = null;
    this.chosen = null;
    this.toolbar?.hide();
    this.preview(null);
    if (!this.cursor) return;
    this.cursor.clear();
    this.cursor.at = null;
  }

  /** Other spans on the same text; against another set, what was added and removed is drawn as such. */
  mark(spans, { against = this.against } = {}) {
    const before = this.marks;
    const wereInLanes = this.inLanes;
    this.against = against;
    this.#setSpans(spans);
    if (this.chosen && !spans.some((span) => sameSpan(span, this.chosen))) this.choose(null);
    if (wereInLanes !== this.inLanes) this.#redraw(() => true);
    else this.#redrawChanged(before, this.marks);
  }

  #setSpans(spans) {
    this.spans = sorted(spans.map((span) => span.slice(0, 3)));
    this.marks = compared(this.spans, this.against);
    this.inLanes = this.overlapping || anyOverlap(this.marks);
  }

  get parts() {
    return this.partStarts.length;
  }

  get currentPart() {
    return Math.min(this.partsDone + 1, this.parts);
  }

  markPartDone(number) {
    this.partsDone = number;
    this.#drawDividers();
  }

  goToPart(number) {
    const divider = this.dividers[number - 1] ?? this.root;
    divider.scrollIntoView({ block: "start" });
    // What came into view had only a guessed height.
    requestAnimationFrame(() => divider.scrollIntoView({ block: "start" }));
  }

  get characters() {
    return this.#characters;
  }

  set characters(on) {
    if (!this.editable || on === this.#characters) return;
    this.#characters = on;
    this.root.classList.toggle("characters", on);
    this.#redraw(() => true);
    this.on.mode(on);
    this.on.say(on ? this.strings.characters : this.strings.words);
  }

  key(event) {
    return this.editable && this.tokens.length > 0 && this.cursor.key(event);
  }

  /** A label's key or chip: relabels what is chosen, marks what is selected by key; else false. */
  useLabel(label) {
    if (!this.editable) return false;
    if (this.chosen) {
      if (this.chosen[2] !== label) this.replace(this.chosen, [this.chosen[0], this.chosen[1], label]);
      return true;
    }
    if (!this.cursor.selection) return false;
    this.pick(this.cursor.selection, label);
    return true;
  }

  /** Marks a stretch with a label, without blanks at its ends. */
  pick([from, to], label = this.on.label()) {
    const stretch = snap(this.tokens, from, to);
    this.cursor.select(null);
    if (!stretch) return;
    const span = [...stretch, label];
    this.cursor.at = stretch[0];
    this.choose(null);
    this.#change(addSpan(this.spans, span, this.overlapping), "marked", span);
  }

  remove(span) {
    this.choose(null);
    this.cursor.at = span[0];
    this.#change(removeSpan(this.spans, span), "removed", span);
  }

  replace(old, span) {
    this.chosen = span;
    this.#change(addSpan(removeSpan(this.spans, old), span, this.overlapping), "changed", span);
    this.toolbar.show(span);
    this.on.chose(span);
  }

  /** Moves an edge of the chosen mark by one piece. */
  resize(edge, step) {
    const moved = moveEdge(this.tokens, this.chosen, edge, step, this.characters);
    if (moved) this.replace(this.chosen, moved);
  }

  #change(spans, what, span) {
    this.mark(spans);
    this.on.say(this.strings[what](span[2], textOf(this.tokens, span, 12)));
    this.on.change(this.spans);
  }

  /** Chooses a mark (null: none); `word` is the piece that was clicked for it. */
  choose(span, word = null) {
    if (!span && !this.chosen) return;
    const before = this.chosen;
    this.chosen = span;
    this.#redraw((block) => touches(block, before) || touches(block, span));
    if (span) {
      this.toolbar.show(span, word);
      this.on.say(this.strings.chosen(span[2], textOf(this.tokens, span, 12)));
    } else this.toolbar.hide();
    this.on.chose(span);
  }

  /** Lets go of what is chosen or selected. */
  escape() {
    const something = Boolean(this.chosen || this.cursor?.isOn || this.pointer?.drag);
    this.pointer?.cancel();
    this.cursor?.clear();
    this.choose(null);
    return something;
  }

  stop() {
    this.watch.stop();
    this.toolbar?.stop();
    this.pointer?.cancel();
  }

  /** Lights the stretch that would be marked; null: none. */
  preview(stretch) {
    this.selection = stretch;
    for (const node of this.lit) node.classList.remove("sel", "sel-first", "sel-last");
    this.lit = stretch ? this.nodesIn(stretch) : [];
    for (const node of this.lit) node.classList.add("sel");
    this.lit[0]?.classList.add("sel-first");
    this.lit.at(-1)?.classList.add("sel-last");
  }

  /** The elements of the pieces between two offsets, as far as they are drawn. */
  nodesIn([start, end]) {
    const inside = (node) => Number(node.dataset.s) >= start && Number(node.dataset.e) <= end;
    return this.blocks.filter((block) => block.nodes && touches(block, [start, end])).flatMap(({ nodes }) => nodes.filter(inside));
  }

  /** The block at an offset, drawn. */
  blockAt(offset) {
    let index = this.blocks.findIndex((block) => block.end > offset);
    if (index < 0) index = this.blocks.length - 1;
    const block = this.blocks[index];
    if (block && !block.nodes) this.#draw(block);
    return block;
  }

  spansAt(stretch) {
    return spansAt(this.spans, stretch);
  }

  wordAt(offset) {
    const [, , start, end] = this.tokens[tokenAt(this.tokens, offset)];
    return [start, end];
  }

  #build() {
    this.blocks = blocksOf(this.tokens, this.partStarts);
    this.#buildDividers();
    let left = AT_ONCE;
    for (const block of this.blocks) {
      left -= block.tokens.length;
      if (left > -block.tokens.length) this.#draw(block);
      else drawPlain(block);
    }
    const nodes = this.blocks.flatMap((block) => (block.divider ? [block.divider, block.node] : [block.node]));
    this.root.replaceChildren(...nodes, ...(this.toolbar ? [this.toolbar.root] : []));
    this.watch.start(this.blocks.filter((block) => !block.nodes).map(({ node }) => node));
  }

  #buildDividers() {
    this.dividers = [];
    if (this.parts < 2) return;
    this.dividers = this.partStarts.map((from) => {
      const divider = el("div", { class: "part", role: "heading", "aria-level": 3 });
      this.blocks.find((block) => block.start === this.tokens[from][2]).divider = divider;
      return divider;
    });
    this.#drawDividers();
  }

  #drawDividers() {
    const { strings: s, parts, partsDone } = this;
    this.dividers.forEach((divider, index) => {
      const state = index < partsDone ? "done" : index === partsDone ? "now" : "open";
      divider.dataset.state = state;
      const sign = state === "done" ? "✓ " : "";
      divider.replaceChildren(el("span", {}, s.part(index + 1, parts)), el("span", { class: "part-state" }, sign + s[state]));
    });
  }

  #enter(node) {
    const block = this.blocks.find((other) => other.node === node);
    if (block && !block.nodes) this.#draw(block);
  }

  #draw(block) {
    drawBlock(block, this.marks.filter((span) => touches(block, span)), this);
    if (this.selection) this.preview(this.selection);
    this.cursor?.draw();
  }

  #redraw(concerns) {
    for (const block of this.blocks) if (block.nodes && concerns(block)) this.#draw(block);
  }

  #redrawChanged(before, after) {
    const different = changed(before, after);
    this.#redraw((block) => different.some((span) => touches(block, span)));
  }
}

const touches = (block, span) => Boolean(span) && span[0] < block.end && span[1] > block.start;
