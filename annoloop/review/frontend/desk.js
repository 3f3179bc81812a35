// One text on the desk: its notices, its marks or categories, flag, comment, and the panel that explains it.

import { changeList } from "./changes.js";
import { el } from "./dom.js";
import { changedNote } from "./history.js";
import { toggleLabel } from "./keys.js";
import { TextPane } from "./text.js";

const MOST_COMMENT = 10_000;
const FIRST_TEXTS = 5;

export class Desk {
  /**
   * `edited()` is called when marks, categories, comment or flag change; `active()` names the label to
   * mark with; `say` speaks to a screen reader; `chose(label)` tells that a mark was chosen; `act` runs a command.
   */
  constructor({ data, strings, edited, active, say, chose, act }) {
    Object.assign(this, { data, strings, edited, say, act });
    this.labels = data.scheme.labels;
    this.kind = data.scheme.kind;
    this.hasSpans = this.kind === "ner" || this.kind === "spancat";
    this.task = null;
    this.pane = new TextPane({
      labels: this.labels,
      overlapping: this.kind === "spancat",
      lang: strings.lang,
      change: this.hasSpans ? () => this.#changed() : null,
      label: active,
      say,
      mode: (on) => this.tools?.characters.setAttribute("aria-pressed", String(on)),
      chose: (span) => chose(span?.[2] ?? null),
    });
    this.#build();
  }

  /** Another text: `begun` is what it begins with, `base` what it is compared with (null: nothing). */
  show(task, { begun, base, notices, hint }) {
    this.task = task;
    this.base = base;
    this.chosen = [...begun.labels];
    this.flagged = Boolean(begun.flagged);
    this.comment.value = begun.comment || "";
    const lost = this.pane.show(task.tokens, begun.spans, { partsDone: begun.part ?? 0, lang: this.data.project.lang });
    this.notices.replaceChildren(...notices);
    this.hint.hidden = !hint;
    this.explained.hidden = true;
    this.#openComment(Boolean(this.comment.value));
    this.#renderTools();
    return lost;
  }

  get spans() {
    return this.pane.spans;
  }

  /** What an answer carries. */
  get marks() {
    const { chosen, spans, flagged } = this;
    return { labels: chosen, spans, comment: this.comment.value.trim(), flagged };
  }

  get draft() {
    return { ...this.marks, part: this.pane.partsDone };
  }

  get hasParts() {
    return this.pane.currentPart < this.pane.parts;
  }

  choose(index, exclusive) {
    this.chosen = toggleLabel(this.chosen, this.labels[index], exclusive);
    this.#changed();
  }

  toggleFlag() {
    this.flagged = !this.flagged;
    this.#renderTools();
    this.say(this.flagged ? this.strings.flagOn : this.strings.flagOff);
    this.edited();
  }

  writeComment() {
    this.#openComment(true);
    this.comment.focus();
  }

  toggleCharacters() {
    this.pane.characters = !this.pane.characters;
  }

  toggleExplained() {
    this.explained.hidden = !this.explained.hidden;
    this.tools.explain.setAttribute("aria-expanded", String(!this.explained.hidden));
    this.#renderExplained();
    if (!this.explained.hidden) this.say(this.explained.textContent);
  }

  /** Back to what the text is compared with; false where there is nothing. */
  restore() {
    if (!this.base) return false;
    this.chosen = [...this.base.labels];
    this.pane.mark(this.base.spans);
    this.#changed();
    return true;
  }

  /** Give the keys back to the text. */
  focus() {
    const { root } = this.pane;
    if (root.tabIndex >= 0) root.focus({ preventScroll: true });
    else root.getRootNode().activeElement?.blur();
  }

  stop() {
    this.pane.stop();
  }

  #build() {
    const s = this.strings;
    const tool = (name, key, words, more = {}) => {
      const node = el("button", { type: "button", class: `tool ${name}`, "aria-keyshortcuts": key, ...more },
        el("span", { class: "name" }, words), el("kbd", { "aria-hidden": "true" }, key));
      node.addEventListener("click", () => {
        if (!node.matches(":focus-visible")) node.blur();
        this.act({ name });
      });
      return node;
    };
    this.tools = {
      explain: tool("explain", "e", s.explain, { "aria-expanded": "false", "aria-controls": "explained" }),
      flag: tool("flag", "f", s.flag, { "aria-pressed": "false" }),
      comment: tool("comment", "m", s.comment),
      characters: tool("characters", "c", s.characters, { "aria-pressed": "false" }),
    };
    const { explain, flag, comment, characters } = this.tools;
    this.notices = el("div", { class: "notices" });
    const head = el("div", { class: "head" }, this.notices,
      el("div", { class: "desk-tools" }, explain, this.hasSpans ? characters : null, flag, comment));
    this.explained = el("section", { class: "explained", id: "explained", hidden: true });
    this.card = el("section", { class: this.hasSpans ? "card spans" : "card" }, this.pane.root);
    this.comment = el("textarea", {
      rows: 2, maxlength: MOST_COMMENT, "aria-label": s.comment, placeholder: s.commentHint,
      oninput: () => this.edited(),
      onkeydown: (event) => {
        if (event.key !== "Escape" || event.isComposing) return;
        event.stopPropagation();
        this.#openComment(Boolean(this.comment.value.trim()));
        this.focus();
      },
    });
    this.commentBox = el("div", { class: "remark", hidden: true }, this.comment);
    const touch = matchMedia("(hover: none)").matches;
    const words = this.hasSpans ? (touch ? s.hintTouch : s.hintSpans) : touch ? s.hintChoicesTouch : s.hintChoices;
    this.hint = el("p", { class: "hint" }, words);
    this.root = el("div", { class: "column" }, head, this.explained, this.card, this.commentBox, this.hint);
  }

  #openComment(open) {
    this.commentBox.hidden = !open;
  }

  #changed() {
    this.edited();
    if (!this.explained.hidden) this.#renderExplained();
  }

  #renderTools() {
    const { flag, explain } = this.tools;
    flag.setAttribute("aria-pressed", String(this.flagged));
    flag.querySelector(".name").textContent = this.flagged ? this.strings.flagged : this.strings.flag;
    explain.hidden = !this.base;
    explain.setAttribute("aria-expanded", "false");
  }

  #renderExplained() {
    const { base, strings: s } = this;
    if (!base) {
      this.explained.replaceChildren();
      return;
    }
    const context = { labels: this.labels, strings: s };
    const changes = changeList(base, { labels: this.chosen, spans: this.spans }, this.pane.tokens, context);
    const restore = el("button", { type: "button", class: "plain", disabled: !changes, onclick: () => this.act({ name: "restore" }) },
      base.restore, el("kbd", { "aria-hidden": "true" }, s.keyNames.restore));
    const had = this.explained.contains(this.explained.getRootNode().activeElement);
    this.explained.replaceChildren(
      el("h2", {}, base.title),
      ...(base.reason === undefined ? [] : [el("h3", {}, s.reason), el("p", { class: "reason", dir: "auto" }, base.reason || s.noReason)]),
      ...(base.changed ? [changedNote(base.changed, base, this.pane.tokens, context)] : []),
      el("h3", {}, s.changes), changes || el("p", {}, s.noChanges), restore);
    if (had) this.focus();
  }
}

/** Whether the hint about marking is still of use. */
export const wantsHint = (decided) => decided < FIRST_TEXTS;
