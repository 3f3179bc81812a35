// The text by keyboard: a cursor from word to word, selection, and going from mark to mark.

import { isBlank, sameSpan, snap, textOf, tokenAt } from "./spans.js";
import { scrollerOf } from "./watch.js";

const CONTROLS = "button, a[href], input, select, textarea, summary, [contenteditable]";

export class Cursor {
  constructor(pane) {
    this.pane = pane;
    this.at = null;
    this.clear();
  }

  /** Neither cursor nor selection is shown; the place is kept. */
  clear() {
    this.isOn = false;
    this.anchor = null;
    this.selection = null;
    this.column = null;
    if (this.pane.tokens?.length) this.pane.preview(null);
    this.draw();
  }

  select(stretch) {
    this.selection = stretch;
    if (!stretch) this.anchor = null;
    this.pane.preview(stretch);
  }

  draw() {
    this.ring?.classList.remove("cursor");
    this.ring = this.isOn ? this.#node() : null;
    this.ring?.classList.add("cursor");
  }

  /** True where the key was for the text. */
  key(event) {
    const { key, shiftKey, altKey } = event;
    const target = event.composedPath()[0];
    const elsewhere = target instanceof Element && target.matches(CONTROLS) && target.matches(":focus-visible");
    if (elsewhere || event.ctrlKey || event.metaKey || event.isComposing) return false;
    if (key === "Tab") return !altKey && this.#tab(shiftKey, target);
    if (/^Arrow(Left|Right|Up|Down)$/.test(key)) return this.#arrow(key.slice(5), shiftKey, altKey);
    if (altKey) return false;
    if (key === "Escape") return this.pane.escape();
    if (key === "Delete" && this.pane.chosen) return this.#remove();
    return key === "Enter" && this.#enter();
  }

  #arrow(way, shift, alt) {
    const { pane } = this;
    const sideways = way === "Left" || way === "Right";
    if (alt && !shift) return false;
    if (pane.chosen && shift) {
      if (sideways) this.#resize(alt ? "start" : "end", this.#step(way, pane.chosen[0]));
      return true;
    }
    if (alt) return false;
    this.#begin();
    const from = this.at;
    if (this.fresh && !shift) this.fresh = false;
    else if (sideways) this.at = this.#beside(this.at, this.#step(way, this.at)) ?? this.at;
    else this.at = this.#line(way === "Up" ? -1 : 1) ?? this.at;
    if (sideways) this.column = null;
    if (shift) this.#extend(from);
    else this.select(null);
    this.#show(shift);
    return true;
  }

  // In a paragraph that runs from right to left, the left arrow goes on.
  #step(way, offset) {
    return (way === "Right") === (this.pane.blockAt(offset).dir === "ltr") ? 1 : -1;
  }

  #begin() {
    const { pane } = this;
    this.fresh = false;
    if (pane.chosen) {
      this.at = pane.chosen[0];
      pane.choose(null);
    } else if (this.at === null || !this.isOn) {
      this.fresh = true;
      this.at = this.#inView(this.at) ? this.at : this.#firstInView();
    }
    this.isOn = true;
  }

  #extend(from) {
    this.anchor ??= this.#unit(from);
    const head = this.#unit(this.at);
    const stretch = [Math.min(this.anchor[2], head[2]), Math.max(this.anchor[3], head[3])];
    this.select(snap(this.pane.tokens, ...stretch));
  }

  #show(selecting) {
    const { pane } = this;
    this.draw();
    this.ring?.scrollIntoView({ block: "nearest" });
    if (pane.root.getRootNode().activeElement !== pane.root) pane.root.focus({ preventScroll: true });
    const { strings, tokens } = pane;
    const unit = this.#unit(this.at);
    const word = [unit[2], unit[3]];
    if (selecting) pane.on.say(this.selection ? strings.selected(textOf(tokens, this.selection, 40)) : strings.nothing);
    else pane.on.say(strings.word(textOf(tokens, word), pane.spansAt(word).map((span) => span[2])));
  }

  #enter() {
    const { pane } = this;
    if (this.selection) pane.pick(this.selection);
    else if (this.isOn && this.at !== null) {
      const unit = this.#unit(this.at);
      const word = [unit[2], unit[3]];
      const [inside] = pane.overlapping ? [] : pane.spansAt(word);
      if (inside) this.#choose(inside);
      else pane.pick(word);
    } else return Boolean(pane.chosen);
    this.draw();
    return true;
  }

  #tab(back, target) {
    const { pane } = this;
    if (target instanceof Element && target.matches(CONTROLS) && !pane.root.contains(target)) return false;
    const { spans } = pane;
    let next;
    if (pane.chosen) next = spans.findIndex((span) => sameSpan(span, pane.chosen)) + (back ? -1 : 1);
    else {
      const here = this.at ?? (back ? -1 : 0);
      next = back ? spans.findLastIndex((span) => span[0] < here) : spans.findIndex((span) => span[0] >= here);
    }
    if (!spans[next]) {
      // On from the text as a whole: from a tag inside it the browser would only go back to its start.
      if (!back && (pane.chosen || pane.root.contains(target))) pane.root.focus({ preventScroll: true });
      pane.escape();
      return false;
    }
    this.#choose(spans[next]);
    return true;
  }

  #choose(span) {
    this.clear();
    this.at = span[0];
    this.pane.blockAt(span[0]);
    this.pane.choose(span);
    this.#focus();
  }

  #focus() {
    const { pane } = this;
    const name = pane.chosen?.join(" ");
    const tag = [...pane.root.querySelectorAll(".tag")].find(({ dataset }) => dataset.m === name && dataset.state !== "removed");
    tag?.focus({ preventScroll: true });
    pane.nodesIn(pane.chosen ?? [0, 0])[0]?.scrollIntoView({ block: "nearest" });
  }

  #resize(edge, step) {
    this.pane.resize(edge, step);
    this.#focus();
  }

  #remove() {
    const { pane } = this;
    pane.remove(pane.chosen);
    this.isOn = true;
    pane.root.focus({ preventScroll: true });
    this.draw();
    return true;
  }

  #unit(offset) {
    const { units } = this.pane.blockAt(offset);
    return units[tokenAt(units, offset)];
  }

  #node() {
    if (this.at === null || !this.pane.tokens.length) return null;
    const block = this.pane.blocks.find(({ end }) => end > this.at);
    return block?.nodes?.[tokenAt(block.units, this.at)] ?? null;
  }

  /** The next piece that is not blank, as its offset; null at the end of the text. */
  #beside(offset, step) {
    const { pane } = this;
    let block = pane.blockAt(offset);
    let at = tokenAt(block.units, offset);
    for (;;) {
      at += step;
      while (!block.units[at]) {
        const index = pane.blocks.indexOf(block) + step;
        if (!pane.blocks[index]) return null;
        block = pane.blockAt(pane.blocks[index].start);
        at = step > 0 ? 0 : block.units.length - 1;
      }
      if (!isBlank(block.units[at])) return block.units[at][2];
    }
  }

  /** The piece on the line above or below that lies nearest to the column where one came from. */
  #line(step) {
    const box = (offset) => {
      const { units, nodes } = this.pane.blockAt(offset);
      return nodes[tokenAt(units, offset)].getClientRects()[0];
    };
    const here = box(this.at);
    this.column ??= (here.left + here.right) / 2;
    let best = null;
    let line = null;
    for (let at = this.#beside(this.at, step); at !== null; at = this.#beside(at, step)) {
      const there = box(at);
      if (!there || (step > 0 ? there.top < here.bottom - 4 : there.bottom > here.top + 4)) continue;
      line ??= there;
      if (step > 0 ? there.top >= line.bottom - 4 : there.bottom <= line.top + 4) break;
      const away = Math.max(there.left - this.column, this.column - there.right, 0);
      if (!best || away < best.away) best = { at, away };
    }
    return best?.at ?? null;
  }

  #view() {
    const scroller = scrollerOf(this.pane.root)?.getBoundingClientRect();
    return { top: Math.max(0, scroller?.top ?? 0), bottom: Math.min(innerHeight, scroller?.bottom ?? innerHeight) };
  }

  #inView(offset) {
    if (offset === null) return false;
    const box = this.#node()?.getBoundingClientRect();
    const { top, bottom } = this.#view();
    return Boolean(box) && box.bottom > top && box.top < bottom;
  }

  #firstInView() {
    const { pane } = this;
    const { top } = this.#view();
    for (const block of pane.blocks) {
      if (block.node.getBoundingClientRect().bottom <= top) continue;
      const { units, nodes } = pane.blockAt(block.start);
      const index = nodes.findIndex((node, i) => !isBlank(units[i]) && node.getBoundingClientRect().bottom > top);
      if (index >= 0) return units[index][2];
    }
    return pane.tokens[0][2];
  }
}
