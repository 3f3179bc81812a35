// Which key presses are ours, and what each one asks for at this moment.

import { isTextInput, keyCommand } from "./keys.js";

const BUTTON_KEYS = new Set([" ", "Enter"]);

export class Keyboard {
  /** `view` answers what is shown and open; `act(command)` does what is asked. */
  constructor(view, act) {
    Object.assign(this, { view, act });
    this.listener = (event) => this.#key(event);
    // Before anything else in the window, Streamlit's own shortcuts included.
    addEventListener("keydown", this.listener, { capture: true });
  }

  stop() {
    removeEventListener("keydown", this.listener, { capture: true });
  }

  #key(event) {
    const { view } = this;
    const target = event.composedPath()[0];
    const save = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s";
    if ((isTextInput(target) || view.history.root.open) && !save) return;
    const onButton = target instanceof HTMLElement && target.matches("button:focus-visible, a:focus-visible");
    if (onButton && BUTTON_KEYS.has(event.key) && view.page.contains(target)) return;
    if (this.#mayUsePane(event, target) && view.desk.pane.key(event)) {
      this.#used(event);
      return;
    }
    const command = this.#command(event);
    if (!command) return;
    this.#used(event);
    if (!event.repeat) this.act(command);
  }

  /** Tab leads through the page's buttons once the text is left; the arrows scroll the guidelines. */
  #mayUsePane(event, target) {
    const { view } = this;
    if (!view.shown || !view.editing || view.sheet.open || view.guidelines.body.contains(target)) return false;
    return event.key !== "Tab" || !view.page.contains(target) || view.desk.pane.root.contains(target);
  }

  #command(event) {
    const { view } = this;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (!view.editing && plain) {
      const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code || "") || /^([1-9])$/.exec(event.key);
      if (digit && event.key !== "/") return { name: "take", index: Number(digit[1]) - 1 };
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step) return { name: "version", step };
    }
    const command = keyCommand(event, view.editing ? view.labels.length : 0);
    return command?.name === "escape" && !view.canEscape ? null : command;
  }

  #used(event) {
    event.preventDefault();
    event.stopImmediatePropagation();
    this.view.synchronizer.used();
  }
}
