// Makes the page's parts and puts them in their places.

import { Actions, Toast } from "./actions.js";
import { Desk } from "./desk.js";
import { el } from "./dom.js";
import { Guidelines } from "./guidelines.js";
import { HistoryPanel } from "./history.js";
import { LabelBar } from "./labels.js";
import { helpSheet } from "./sheets.js";
import { TopBar } from "./topbar.js";
import { Versions } from "./versions.js";

/** The parts by name, `page` is the whole. `on` holds what is called when something is done on the page. */
export function layOut({ data, strings: s, queue, synchronizer, on }) {
  const { scheme } = data;
  const adjudicate = data.mode === "adjudicate";
  const hasSpans = scheme.kind === "ner" || scheme.kind === "spancat";
  const { act, say } = on;
  const top = new TopBar({ data, strings: s, queue, synchronizer, act, stateClicked: on.stateClicked });
  const desk = new Desk({ data, strings: s, act, say, edited: on.edited, active: on.active, chose: on.choseMark });
  const bar = new LabelBar({ scheme, strings: s, choose: on.label, back: () => desk.focus() });
  const guidelines = new Guidelines({ strings: s, closed: () => desk.focus() });
  guidelines.update(data.guidelines, data.project.lang);
  const history = new HistoryPanel({
    strings: s, labels: scheme.labels, lang: data.project.lang, search: on.searchHistory, open: on.reopen,
  });
  const versions = adjudicate
    ? new Versions({ scheme, strings: s, projectLang: data.project.lang, take: on.take, edit: on.edit })
    : null;
  const sheet = helpSheet({
    strings: s, labels: scheme.labels, hasSpans, adjudicate,
    acceptOnKey: data.accept_on_key && scheme.kind === "textcat", hint: desk.hint.textContent,
  });
  const actions = new Actions({ strings: s, adjudicate, act });
  const toast = new Toast();
  const live = el("div", { class: "live", role: "status" });
  const empty = el("div", { hidden: true });
  const scroll = el("div", { class: "scroll" }, versions?.root, desk.root, empty);
  if (!hasSpans) desk.root.append(bar.root);
  const middle = el("div", { class: "middle" }, scroll, guidelines.root);
  const page = el("div", { class: adjudicate ? "page adjudicating" : "page", lang: s.lang },
    top.root, hasSpans ? bar.root : null, middle, toast.root, actions.root, live, sheet, history.root);
  return { top, desk, bar, guidelines, history, versions, sheet, actions, toast, live, empty, scroll, page };
}
