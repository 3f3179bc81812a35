// All of one's answers: search, filters, pages; a click opens one again.

import { changeList, summary } from "./changes.js";
import { el } from "./dom.js";

const PAGE = 30;
const TYPING = 250;
const EXCERPT = 180;

export class HistoryPanel {
  /** `search(request)` resolves to the reply or null; `open({task, answer})` brings a text back. */
  constructor({ strings, labels, search, open, lang }) {
    Object.assign(this, { strings, labels, search, open, lang });
    const s = strings;
    this.only = "";
    this.asked = 0;
    this.input = el("input", {
      type: "search", placeholder: s.search, "aria-label": s.search, autocomplete: "off",
      oninput: () => this.#soon(),
    });
    this.filters = Object.entries(s.filters).map(([only, name]) => {
      const button = el("button", { type: "button", class: "filter", "aria-pressed": "false" }, name);
      button.addEventListener("click", () => this.#filter(only));
      return [only, button];
    });
    this.list = el("ol", { class: "entries" });
    this.note = el("p", { role: "status" });
    this.more = el("button", { type: "button", class: "plain", hidden: true }, s.more);
    this.more.addEventListener("click", () => this.#load(true));
    const close = el("button", { class: "round", type: "button", "aria-label": s.close, title: `${s.close} (Esc)` }, "✕");
    close.addEventListener("click", () => this.root.close());
    this.root = el("dialog", { class: "sheet side", "aria-label": s.history },
      el("header", {}, el("h2", {}, s.history), close), this.input,
      el("div", { class: "filters", role: "group", "aria-label": s.filter }, ...this.filters.map(([, node]) => node)),
      this.list, this.note, this.more);
    this.root.addEventListener("click", (event) => {
      if (event.composedPath()[0] === this.root) this.root.close();
    });
    this.root.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Open the panel, with a filter. */
  show(only = "") {
    this.input.value = "";
    if (!this.root.open) this.root.showModal();
    this.#filter(only);
    this.input.focus();
  }

  #filter(only) {
    this.only = only;
    for (const [name, node] of this.filters) node.setAttribute("aria-pressed", String(name === only));
    this.#load(false);
  }

  #soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#load(false), TYPING);
  }

  async #load(further) {
    clearTimeout(this.timer);
    const turn = (this.asked += 1);
    const before = further && this.last ? this.last : null;
    const request = { text: this.input.value.trim(), only: this.only || null, before, limit: PAGE };
    const reply = await this.search(request);
    // What was asked earlier may come later.
    if (turn !== this.asked) return;
    if (!further) this.list.replaceChildren();
    const answers = reply?.answers || [];
    this.last = answers.at(-1)?.answer.seq ?? this.last;
    this.more.hidden = !reply?.more;
    const failed = reply === null ? this.strings.historyOffline : "";
    this.note.textContent = failed || (answers.length || further ? "" : this.strings.noAnswers);
    this.list.append(...answers.map((entry) => this.#entry(entry)));
  }

  #entry({ task, answer, changed }) {
    const s = this.strings;
    const context = { labels: this.labels, strings: s };
    const letters = [...task.tokens.slice(0, 120).map(([text, blank]) => text + (blank ? " " : "")).join("")];
    const excerpt = letters.slice(0, EXCERPT).join("") + (letters.length > EXCERPT ? " …" : "");
    const when = answer.when ? new Date(answer.when).toLocaleString(localeOf(s.lang), { dateStyle: "medium", timeStyle: "short" }) : "";
    const meta = [s.verdicts[answer.verdict], when, answer.flagged ? `⚑ ${s.flagged}` : ""].filter(Boolean).join(" · ");
    const open = el("button", { type: "button", class: "entry" },
      el("span", { class: "meta" }, meta),
      el("span", { class: "excerpt", dir: "auto", lang: this.lang }, excerpt),
      answer.verdict === "ignore" ? null : summary(answer, task.tokens, context),
      answer.comment ? el("span", { class: "said" }, `“${answer.comment}”`) : null);
    open.addEventListener("click", () => {
      this.root.close();
      this.open({ task, answer, changed });
    });
    return el("li", {}, open, changed ? changedNote(changed, answer, task.tokens, context) : null);
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const stops = [this.input, ...this.list.querySelectorAll(".entry")];
    const at = stops.indexOf(this.root.getRootNode().activeElement);
    const next = stops[Math.min(stops.length - 1, Math.max(0, at + step))];
    event.preventDefault();
    next.focus();
  }
}

/** The browser's own variety of the page's language, for dates. */
const localeOf = (lang) => (navigator.languages || []).find((tag) => tag.toLowerCase().startsWith(lang)) || lang;

/** Who changed an answer, and how. */
export function changedNote(changed, answer, tokens, context) {
  const s = context.strings;
  const verdict = changed.verdict === answer.verdict ? null
    : el("p", {}, `${s.verdicts[answer.verdict]} → ${s.verdicts[changed.verdict]}`);
  const list = changeList(answer, changed, tokens, context);
  return el("div", { class: "changed-note" },
    el("p", {}, el("strong", {}, s.changedBy(changed.by))), verdict,
    list || (verdict ? null : el("p", {}, s.unchanged)),
    changed.comment ? el("p", { class: "said" }, `“${changed.comment}”`) : null);
}
