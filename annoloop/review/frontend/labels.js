// The labels or categories: their buttons, the line that says what a label means, and the search.

import { colourOf, patternOf } from "./colours.js";
import { el } from "./dom.js";
import { findLabels, labelKey } from "./keys.js";

const SEARCH_FROM = 10;

export class LabelBar {
  /** `choose(index)` is called for a label clicked or found; `exclusive`: only one may be chosen. */
  constructor({ scheme, strings, choose, back }) {
    Object.assign(this, { scheme, strings, choose, back });
    this.labels = scheme.labels;
    this.hasSpans = scheme.kind === "ner" || scheme.kind === "spancat";
    this.multiple = scheme.kind === "textcat_multilabel";
    this.on = [];
    const s = strings;
    this.chips = el("div", {
      class: this.hasSpans ? "chips" : "chips choices",
      role: this.multiple ? "group" : "radiogroup",
      "aria-label": this.hasSpans ? s.labels : s.choices,
    });
    this.nodes = this.labels.map((label, index) => this.#chip(label, index));
    this.chips.append(...this.nodes);
    this.meaning = el("p", { class: "meaning" });
    this.root = el("div", { class: "labels" }, this.chips, this.hasSpans ? this.meaning : null);
    if (this.labels.length > SEARCH_FROM) this.#addSearch();
  }

  /** Draw the state: the indices that are on, and those that were suggested. */
  update(on, suggested = []) {
    this.on = on;
    this.nodes.forEach((node, index) => {
      node.setAttribute("aria-checked", String(on.includes(index)));
      node.classList.toggle("suggested", suggested.includes(index));
      if (!this.hasSpans) node.querySelector(".mark").textContent = suggested.includes(index) ? "✦" : "";
    });
    if (this.hasSpans) this.#mean(on[0]);
  }

  /** Bring a label that was chosen by its key into view; only where they scroll. */
  reveal(index) {
    if (this.chips.scrollHeight > this.chips.clientHeight || this.chips.scrollWidth > this.chips.clientWidth) {
      this.nodes[index]?.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }

  /** Open the search; false where there are too few labels for one. */
  search() {
    if (!this.finder) return false;
    this.finder.hidden = false;
    this.input.value = "";
    this.#list();
    this.input.focus();
    return true;
  }

  #chip(label, index) {
    const definition = this.scheme.definitions[label] || "";
    const node = el("button", {
      class: `chip ${patternOf(this.labels, label)}`.trim(),
      type: "button",
      role: this.multiple ? "checkbox" : "radio",
      "aria-checked": "false",
      "aria-keyshortcuts": labelKey(index) || null,
      style: `--c:${colourOf(this.labels, label)}`,
      title: definition || null,
    },
    labelKey(index) ? el("kbd", { "aria-hidden": "true" }, labelKey(index)) : null,
    el("span", { class: "name" }, label),
    this.hasSpans ? null : el("span", { class: "mark", title: this.strings.suggestedHere }),
    this.hasSpans || !definition ? null : el("span", { class: "definition" }, definition));
    node.addEventListener("click", () => {
      if (!node.matches(":focus-visible")) node.blur();
      this.choose(index);
    });
    if (this.hasSpans) {
      for (const event of ["pointerenter", "focus"]) node.addEventListener(event, () => this.#mean(index));
      for (const event of ["pointerleave", "blur"]) node.addEventListener(event, () => this.#mean(this.on[0]));
    }
    return node;
  }

  #mean(index) {
    const label = this.labels[index];
    const definition = label && this.scheme.definitions[label];
    const text = definition ? `${label}: ${definition}` : "";
    if (this.meaning.textContent !== text) this.meaning.textContent = text;
  }

  #addSearch() {
    const s = this.strings;
    this.input = el("input", {
      type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "found-labels", "aria-autocomplete": "list",
      "aria-label": s.findLabel, placeholder: s.findLabel, autocomplete: "off", spellcheck: "false",
      oninput: () => this.#list(),
      onkeydown: (event) => this.#inputKey(event),
      onblur: () => setTimeout(() => this.#close(), 100),
    });
    this.list = el("ul", { role: "listbox", id: "found-labels", "aria-label": s.labels });
    this.finder = el("div", { class: "finder", hidden: true }, this.input, this.list);
    const open = el("button", {
      class: "chip find", type: "button", "aria-keyshortcuts": "/", onclick: () => this.search(),
    }, el("kbd", { "aria-hidden": "true" }, "/"), s.findLabel);
    this.root.append(this.finder);
    this.chips.after(open);
  }

  #list() {
    this.found = findLabels(this.labels, this.scheme.definitions, this.input.value).slice(0, 50);
    this.at = 0;
    this.options = this.found.map((index, place) => {
      const label = this.labels[index];
      const option = el("li", { role: "option", id: `found-${place}`, style: `--c:${colourOf(this.labels, label)}` },
        el("span", { class: "name" }, label), el("span", { class: "definition" }, this.scheme.definitions[label] || ""));
      // Before the input loses the focus, which closes the list.
      option.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        this.at = place;
        this.#take();
      });
      return option;
    });
    const none = el("li", { class: "none", role: "option", "aria-disabled": "true" }, this.strings.noSuchLabel);
    this.list.replaceChildren(...(this.options.length ? this.options : [none]));
    this.#point(0);
  }

  #point(place) {
    if (!this.options.length) {
      this.input.removeAttribute("aria-activedescendant");
      return;
    }
    this.at = (place + this.options.length) % this.options.length;
    this.options.forEach((option, index) => option.setAttribute("aria-selected", String(index === this.at)));
    this.input.setAttribute("aria-activedescendant", `found-${this.at}`);
    this.options[this.at].scrollIntoView({ block: "nearest" });
  }

  #inputKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.#point(this.at + step);
    else if (event.key === "Enter") this.#take();
    else if (event.key === "Escape") this.#close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #take() {
    const index = this.found[this.at];
    this.#close();
    if (index === undefined) return;
    this.choose(index);
    this.reveal(index);
  }

  #close() {
    if (this.finder.hidden) return;
    this.finder.hidden = true;
    this.back();
  }
}
