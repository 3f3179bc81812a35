// How one annotation differs from another, as a list for people.

import { colourOf } from "./colours.js";
import { difference, wordsOf } from "./difference.js";
import { el } from "./dom.js";

/** A list of what was added, removed and changed; null where nothing was. */
export function changeList(before, after, tokens, { labels, strings: s }) {
  const found = difference(before, after);
  const words = ([start, end]) => el("q", { dir: "auto" }, wordsOf(tokens, start, end));
  const name = (label) => el("b", { class: "label", style: `--c:${colourOf(labels, label)}` }, label);
  const line = (sign, ...parts) => el("li", {}, el("span", { class: "sign", "aria-hidden": "true" }, sign), ...parts);
  const lines = [
    ...found.relabelled.map(([a, b]) => line("⇄", words(b), " ", name(a[2]), " → ", name(b[2]))),
    ...found.moved.map(([a, b]) => line("↔", name(b[2]), " ", words(a), " → ", words(b))),
    ...found.removed.map((span) => line("−", words(span), " ", name(span[2]), ` ${s.removed}`)),
    ...found.added.map((span) => line("+", words(span), " ", name(span[2]), ` ${s.added}`)),
    ...found.labelsRemoved.map((label) => line("−", name(label), ` ${s.removed}`)),
    ...found.labelsAdded.map((label) => line("+", name(label), ` ${s.added}`)),
  ];
  return lines.length ? el("ul", { class: "changes" }, ...lines) : null;
}

/** What an annotation holds, in one line. */
export function summary({ labels, spans }, tokens, { labels: names, strings: s }, most = 6) {
  const name = (label) => el("b", { class: "label", style: `--c:${colourOf(names, label)}` }, label);
  const marked = spans.slice(0, most).flatMap(([start, end, label]) =>
    [name(label), " ", el("q", { dir: "auto" }, wordsOf(tokens, start, end, 40)), " "]);
  if (spans.length > most) marked.push(`+ ${spans.length - most}`);
  const chosen = labels.flatMap((label) => [name(label), " "]);
  const parts = [...chosen, ...marked];
  return el("span", { class: "summary" }, ...(parts.length ? parts : [s.nothingMarked]));
}
