// The page: draws the current text, takes keys and pointers, hands decisions to the queue.

import { addSpan, fromOffsets, keyCommand, labelKey, removeSpan, toggleLabel, toOffsets } from "./core.js";
import { el } from "./dom.js";
import { allDone, helpSheet } from "./sheets.js";
import { TextPane } from "./text.js";

const COLOURS = [
  "#2f7de1", "#e0662f", "#2a9d63", "#b84fd0", "#c99700", "#d6336c", "#0fa3b1", "#7a6ff0", "#9a6b2f", "#5c8a2a",
];
const TOAST = 2600;

export class View {
  constructor(parent, { queue, synchronizer, data, strings }) {
    Object.assign(this, { parent, queue, synchronizer, data, strings });
    this.kind = data.scheme.kind;
    this.hasSpans = this.kind === "ner" || this.kind === "spancat";
    this.labels = data.scheme.labels;
    this.active = 0;
    this.shown = undefined;
    this.waiting = false;
    this.onKey = (event) => this.#key(event);
    this.onUse = () => synchronizer.used();
    this.#build();
    addEventListener("keydown", this.onKey, { capture: true });
    addEventListener("pointerdown", this.onUse, { capture: true, passive: true });
    this.render();
  }

  update(data) {
    this.data = data;
    this.where.replaceChildren(...this.#whereParts());
    this.render();
  }

  stop() {
    removeEventListener("keydown", this.onKey, { capture: true });
    removeEventListener("pointerdown", this.onUse, { capture: true });
    clearTimeout(this.toastTimer);
    this.page.remove();
  }

  colour(label) {
    return COLOURS[Math.max(0, this.labels.indexOf(label)) % COLOURS.length];
  }

  /** Bring the screen up to date; a text that is already shown is not drawn again. */
  render() {
    const { queue } = this;
    if (this.waiting && (queue.history.length || !queue.mayHaveMore)) {
      this.waiting = false;
      if (queue.history.length) {
        this.#undo();
        return;
      }
      this.#toast(this.strings.nothingToUndo);
    }
    const task = queue.current;
    if (task !== this.shown) this.#show(task);
    else if (!task) this.#showEmpty();
    this.#renderTop();
  }

  #build() {
    const s = this.strings;
    this.where = el("div", { class: "where" }, ...this.#whereParts());
    this.bar = el("i");
    this.count = el("span", { class: "count" });
    this.meter = el("div", { class: "meter", role: "progressbar", "aria-valuemin": 0 }, this.bar);
    this.state = el("button", { class: "state", type: "button", onclick: () => this.#stateClicked() });
    this.live = el("div", { class: "live", role: "status" });
    const help = el("button", { class: "round", type: "button", title: `${s.help} (h)`, "aria-label": s.help }, "?");
    help.addEventListener("click", () => this.#help());
    this.chips = el("div", {
      class: "chips", role: "radiogroup", "aria-label": this.hasSpans ? s.labels : s.choices,
    });
    this.notice = el("p", { class: "notice" });
    this.pane = new TextPane({
      pick: this.hasSpans ? (span) => this.#pick(span) : null,
      drop: (span) => this.#setSpans(removeSpan(this.spans, span)),
      colour: (label) => this.colour(label),
      overlapping: this.kind === "spancat",
      removeTitle: s.remove,
    });
    this.card = el("section", { class: this.hasSpans ? "card spans" : "card" }, this.pane.root);
    this.scroll = el("main", { class: "scroll" });
    this.toast = el("div", { class: "toast", role: "status" });
    this.actions = el("footer", { class: "actions" }, ...this.#buttons());
    const top = el("header", { class: "top" }, this.where,
      el("div", { class: "progress" }, this.meter, this.count), this.state, help);
    this.sheet = helpSheet({ strings: s, labels: this.labels, hasSpans: this.hasSpans });
    this.page = el("div", { class: "page", lang: s.lang }, top, this.hasSpans ? this.chips : null,
      this.scroll, this.toast, this.actions, this.live, this.sheet);
    this.#buildChips();
    this.parent.append(this.page);
  }

  #whereParts() {
    return [el("strong", {}, this.data.project.name), el("span", {}, this.data.annotator)];
  }

  #buttons() {
    const s = this.strings;
    const button = (name, sign, key, act) => {
      const node = el("button", { class: name, type: "button", "aria-keyshortcuts": key },
        el("span", { class: "sign", "aria-hidden": "true" }, sign), el("span", {}, s[name]),
        el("kbd", {}, s.keyNames[key] || key));
      node.addEventListener("click", () => {
        // A button that keeps the focus would take the next space bar for itself.
        if (!node.matches(":focus-visible")) node.blur();
        act();
      });
      return node;
    };
    return [
      button("accept", "✓", "a", () => this.#decide("accept")),
      button("reject", "✕", "x", () => this.#decide("reject")),
      button("ignore", "↷", "space", () => this.#decide("ignore")),
      button("undo", "↶", "backspace", () => this.#undo()),
    ];
  }

  #buildChips() {
    const { definitions } = this.data.scheme;
    this.chipNodes = this.labels.map((label, index) =>
      el("button", {
        class: "chip", type: "button", role: this.kind === "textcat_multilabel" ? "checkbox" : "radio",
        style: `--c:${this.colour(label)}`, title: definitions[label] || null,
        onclick: (event) => {
          if (!event.currentTarget.matches(":focus-visible")) event.currentTarget.blur();
          this.#label(index);
        },
      },
      labelKey(index) ? el("kbd", {}, labelKey(index)) : null,
      el("span", { class: "name" }, label),
      this.hasSpans ? null : el("span", { class: "definition" }, definitions[label] || "")));
    this.chips.setAttribute("role", this.kind === "textcat_multilabel" ? "group" : "radiogroup");
    if (!this.hasSpans) this.chips.classList.add("choices");
    this.chips.replaceChildren(...this.chipNodes);
    this.#renderChips();
  }

  #renderChips() {
    this.chipNodes.forEach((node, index) => {
      const on = this.hasSpans ? index === this.active : this.chosen?.includes(this.labels[index]);
      node.setAttribute("aria-checked", String(Boolean(on)));
      const suggested = !this.hasSpans && this.shown?.suggestion?.labels.includes(this.labels[index]);
      node.classList.toggle("suggested", Boolean(suggested));
    });
  }

  #renderTop() {
    const s = this.strings;
    const counts = this.queue.counts();
    if (counts?.all) {
      this.count.replaceChildren(
        s.progress(counts.done, counts.all), el("span", { class: "wide" }, counts.inRound ? ` ${s.batch}` : ""));
      this.bar.style.width = `${(100 * counts.done) / counts.all}%`;
      this.meter.setAttribute("aria-valuenow", counts.done);
      this.meter.setAttribute("aria-valuemax", counts.all);
      this.meter.setAttribute("aria-label", s.progress(counts.done, counts.all));
    } else {
      this.count.replaceChildren();
    }
    const { unsaved, refused, safe } = this.queue;
    const state = refused.size ? "refused" : this.synchronizer.state;
    const texts = {
      saved: s.saved,
      unsaved: s.unsaved(unsaved.size),
      offline: s.offline(unsaved.size),
      stale: s.stale(unsaved.size),
      failed: s.failed(unsaved.size, this.synchronizer.why),
      refused: s.refused(refused.size, [...refused.values()][0]),
    };
    this.state.dataset.state = state;
    this.state.textContent = texts[state];
    this.state.title = state === "refused" ? s.dismiss : safe ? texts[state] : s.unsafe;
    if (state !== this.said && state !== "unsaved") this.live.textContent = texts[state];
    this.said = state;
  }

  #show(task) {
    this.shown = task;
    this.actions.querySelectorAll(".accept, .reject, .ignore").forEach((node) => (node.disabled = !task));
    if (!task) {
      this.#showEmpty();
      return;
    }
    this.since = performance.now();
    const start = this.queue.drafts.get(task.task_hash) || task.suggestion || { labels: [], spans: [] };
    this.spans = fromOffsets(task.tokens, start.spans);
    this.chosen = [...start.labels];
    this.pane.show(task.tokens, this.spans);
    this.pane.root.lang = this.data.project.lang;
    this.#showNotice(task);
    this.scroll.replaceChildren(
      el("div", { class: "column" }, this.notice, this.card, this.hasSpans ? null : this.chips, this.#hint()));
    this.scroll.scrollTop = 0;
    this.#renderChips();
  }

  #hint() {
    if (this.queue.decided > 5) return null;
    return el("p", { class: "hint" }, this.hasSpans ? this.strings.hintSpans : this.strings.hintChoices);
  }

  #showNotice(task) {
    const s = this.strings;
    const why = s.blind[task.split];
    this.notice.className = why ? "notice blind" : "notice";
    if (why) this.notice.replaceChildren(why);
    else if (task.suggestion) {
      const { source, score, spans } = task.suggestion;
      const sure = typeof score === "number" ? ` · ${score.toFixed(2)}` : "";
      const nothing = this.hasSpans && !spans.length;
      this.notice.replaceChildren((nothing ? s.suggestedNothing(source) : s.suggestedBy(source)) + sure);
    } else this.notice.replaceChildren(s.noSuggestion);
  }

  #showEmpty() {
    const { queue, data, strings } = this;
    this.scroll.replaceChildren(allDone({ queue, data, strings, state: this.synchronizer.state }));
  }

  #decide(verdict) {
    const task = this.shown;
    if (!task || task !== this.queue.current) return;
    if (verdict === "accept" && this.kind === "textcat" && !this.chosen.length) {
      this.#toast(this.strings.chooseFirst);
      return;
    }
    const spans = toOffsets(task.tokens, this.spans);
    this.queue.decide(verdict, { labels: this.chosen, spans }, performance.now() - this.since);
    this.#toast("");
    this.render();
    this.synchronizer.push();
  }

  #undo() {
    if (this.queue.undo()) {
      this.shown = undefined;
      this.#toast(this.strings.undone);
      this.render();
      this.synchronizer.push();
    } else if (this.queue.mayHaveMore) {
      this.waiting = true;
      this.synchronizer.sync();
    } else this.#toast(this.strings.nothingToUndo);
  }

  #pick({ start, end }) {
    const span = { start, end, label: this.labels[this.active] };
    this.#setSpans(addSpan(this.spans, span, this.kind === "spancat"));
  }

  #setSpans(spans) {
    this.spans = spans;
    this.pane.mark(spans);
    this.#keepDraft();
  }

  #label(index) {
    if (this.hasSpans) this.active = index;
    else if (this.shown) {
      this.chosen = toggleLabel(this.chosen, this.labels[index], this.kind === "textcat");
      this.#keepDraft();
    }
    this.#renderChips();
  }

  #keepDraft() {
    const { shown, spans, chosen, queue } = this;
    queue.drafts.set(shown.task_hash, { labels: chosen, spans: toOffsets(shown.tokens, spans) });
  }

  #stateClicked() {
    if (this.queue.refused.size) this.queue.dismissRefused();
    else if (this.synchronizer.state === "stale") location.reload();
    this.state.blur();
    this.synchronizer.push({ atOnce: true });
    this.render();
  }

  #help() {
    if (this.sheet.open) this.sheet.close();
    else this.sheet.showModal();
  }

  #toast(text) {
    clearTimeout(this.toastTimer);
    this.toast.textContent = text;
    this.toast.classList.toggle("on", Boolean(text));
    if (text) this.toastTimer = setTimeout(() => this.toast.classList.remove("on"), TOAST);
  }

  #key(event) {
    const target = event.composedPath()[0];
    if (isTextInput(target)) return;
    const onButton = target instanceof HTMLElement && target.matches("button:focus-visible, a:focus-visible");
    if (onButton && (event.key === " " || event.key === "Enter") && this.page.contains(target)) return;
    const command = keyCommand(event, this.labels.length);
    if (!command || (command.name === "escape" && !this.sheet.open)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.synchronizer.used();
    if (!event.repeat) this.#act(command);
  }

  #act({ name, index }) {
    if (name === "help" || (name === "escape" && this.sheet.open)) this.#help();
    else if (this.sheet.open) return;
    else if (name === "label") this.#label(index);
    else if (name === "undo") this.#undo();
    else if (name === "save") this.synchronizer.push({ atOnce: true });
    else this.#decide(name);
  }
}

function isTextInput(node) {
  if (!(node instanceof HTMLElement)) return false;
  if (node.isContentEditable || node.tagName === "TEXTAREA" || node.tagName === "SELECT") return true;
  const plain = ["button", "checkbox", "radio", "range", "submit", "reset", "color", "file"];
  return node.tagName === "INPUT" && !plain.includes(node.type);
}
