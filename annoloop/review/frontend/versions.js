// What several people made of one text, side by side.

import { disputed } from "./difference.js";
import { el } from "./dom.js";
import { summary } from "./changes.js";
import { TextPane } from "./text.js";

const MOST_BY_KEY = 9;

export class Versions {
  /** `take(version)` decides with it; `edit(version)` puts it into the editable text. */
  constructor({ scheme, strings, projectLang, take, edit }) {
    Object.assign(this, { scheme, strings, projectLang, take, edit });
    this.hasSpans = scheme.kind === "ner" || scheme.kind === "spancat";
    this.state = el("p", { class: "notice", role: "status" });
    this.doubt = el("p", { class: "notice doubt", hidden: true });
    this.row = el("div", { class: "versions" });
    this.root = el("div", {}, this.doubt, this.state, this.row);
    this.panes = [];
    this.list = [];
  }

  /** Another text's versions. */
  show(task) {
    this.stop();
    this.list = task.versions || [];
    this.doubt.hidden = !task.doubt;
    this.doubt.textContent = task.doubt ? this.strings.doubt(task.doubt) : "";
    this.at = 0;
    const only = disputed(this.list);
    const agreed = (version, index) => version.spans.filter((span) => !only[index].includes(span));
    this.cards = this.list.map((version, index) => this.#card(task, version, index, agreed(version, index)));
    this.row.replaceChildren(...this.cards);
    this.choose(0);
  }

  get chosen() {
    return this.list[this.at] || null;
  }

  choose(index) {
    if (!this.list.length) return;
    this.at = (index + this.list.length) % this.list.length;
    this.cards.forEach((card, place) => card.classList.toggle("chosen", place === this.at));
    this.cards[this.at].scrollIntoView({ block: "nearest" });
  }

  /** Whether one edits below, where digits choose labels and no version. */
  editing(on) {
    this.root.classList.toggle("editing", on);
    this.state.textContent = on ? this.strings.editState : this.strings.versionsState;
    this.row.querySelectorAll("kbd").forEach((key) => (key.hidden = on));
  }

  stop() {
    for (const pane of this.panes) pane.stop();
    this.panes = [];
  }

  #card(task, version, index, agreed) {
    const s = this.strings;
    const button = (name, words, key, act) => el("button", { type: "button", class: `plain ${name}`, onclick: act },
      words, key ? el("kbd", { "aria-hidden": "true" }, key) : null);
    const verdict = el("span", { class: `verdict ${version.verdict}` }, s.verdicts[version.verdict]);
    return el("article", { class: "version", "aria-label": s.versionTitle(index + 1, version.annotator) },
      el("header", {}, el("strong", {}, version.annotator), verdict),
      this.hasSpans ? this.#text(task, version, agreed) : summary(version, task.tokens, { labels: this.scheme.labels, strings: s }),
      version.comment ? el("p", { class: "said" }, `“${version.comment}”`) : null,
      el("footer", {},
        button("take", s.take, index < MOST_BY_KEY ? String(index + 1) : "", () => this.take(version)),
        button("edit", s.edit, "e", () => this.edit(version))));
  }

  #text(task, version, agreed) {
    const pane = new TextPane({
      labels: this.scheme.labels, overlapping: this.scheme.kind === "spancat", lang: this.strings.lang,
    });
    pane.show(task.tokens, version.spans, { lang: this.projectLang });
    pane.mark(version.spans, { against: agreed });
    this.panes.push(pane);
    return pane.root;
  }
}
