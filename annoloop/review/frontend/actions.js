// The buttons under the text, and the short messages above them.

import { el } from "./dom.js";

const TOAST = 2600;

export class Actions {
  constructor({ strings: s, adjudicate, act }) {
    this.strings = s;
    const button = (name, sign, key, words) => {
      const node = el("button", { class: name, type: "button", "aria-keyshortcuts": key },
        el("span", { class: "sign", "aria-hidden": "true" }, sign), el("span", { class: "words" }, words),
        el("kbd", { "aria-hidden": "true" }, s.keyNames[key] || key));
      node.addEventListener("click", () => {
        // A button that keeps the focus would take the next space bar for itself.
        if (!node.matches(":focus-visible")) node.blur();
        act({ name });
      });
      return node;
    };
    this.accept = button("accept", "✓", "a", s.accept);
    this.reject = button("reject", "✕", "x", adjudicate ? s.nobody : s.reject);
    this.ignore = button("ignore", "↷", "space", adjudicate ? s.later : s.ignore);
    this.root = el("footer", { class: "actions" },
      this.accept, this.reject, this.ignore, button("undo", "↶", "backspace", s.undo));
  }

  /** The accept button says what its key does now: `part` is [number, all] while parts are left to do. */
  render({ task, editing, part }) {
    const words = part ? this.strings.acceptPart(...part) : this.strings.accept;
    this.accept.querySelector(".words").textContent = words;
    this.accept.disabled = !task || !editing;
    this.reject.disabled = this.ignore.disabled = !task;
  }
}

export class Toast {
  constructor() {
    this.root = el("div", { class: "toast", role: "status" });
  }

  /** Show a message for a moment; an empty one takes the last away. */
  show(text) {
    clearTimeout(this.timer);
    this.root.textContent = text;
    this.root.classList.toggle("on", Boolean(text));
    if (text) this.timer = setTimeout(() => this.root.classList.remove("on"), TOAST);
  }
}
