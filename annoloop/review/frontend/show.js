// Texts with their marks, to look at: several beside each other in a row. Text only ever enters as text.

import { colourOf, patternOf } from "./colours.js";
import { el } from "./dom.js";
import { TextPane } from "./text.js";

const panes = new WeakMap();

export default function show({ data, parentElement }) {
  const known = panes.get(parentElement);
  known?.stop();
  const drawn = [];
  const root = el("div", { class: "shown", lang: data.interface }, ...data.rows.map((row) => drawRow(row, data, drawn)));
  parentElement.append(root);
  const stop = () => {
    drawn.forEach((pane) => pane.stop());
    root.remove();
    panes.delete(parentElement);
  };
  panes.set(parentElement, { stop });
  return stop;
}

function drawRow(row, data, drawn) {
  return el("section", { class: "row" }, ...row.map((item) => drawItem(item, data, drawn)));
}

function drawItem(item, data, drawn) {
  const { text, marks } = item.tokens.length ? drawText(item, data, drawn) : { text: null, marks: null };
  return el("article", { class: `item ${item.tone}` },
    item.title || item.note
      ? el("header", {}, el("strong", {}, item.title), item.note ? el("span", { class: "note" }, item.note) : null)
      : null,
    item.labels.length || item.missed.length ? drawLabels(item, data) : null, text, marks);
}

function drawText(item, data, drawn) {
  const pane = new TextPane({ labels: data.labels, overlapping: data.overlapping, lang: data.interface });
  pane.show(item.tokens, item.spans, { lang: data.lang });
  if (item.against) pane.mark(item.spans, { against: item.against });
  drawn.push(pane);
  return { text: pane.root, marks: item.cut ? el("p", { class: "cut" }, item.cut) : null };
}

/** Categories: those given, then those that are missing beside what is right. */
function drawLabels(item, data) {
  const chip = (label, missed) => {
    const name = missed ? el("del", {}, label) : label;
    return el("li", { class: `${patternOf(data.labels, label)} ${missed ? "missed" : ""}`, style: `--c:${colourOf(data.labels, label)}` }, name);
  };
  return el("ul", { class: "labels" },
    ...item.labels.map((label) => chip(label, false)), ...item.missed.map((label) => chip(label, true)));
}
