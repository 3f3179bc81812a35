// Draws one block of a text: its pieces as elements, its marks in line or in lanes below.

import { colourOf, patternOf } from "./colours.js";
import { el } from "./dom.js";
import { blockStretches } from "./parts.js";
import { direction, graphemes, lanes, sameSpan, splitAt, textOf, visible } from "./spans.js";

const MOST_LANES = 12;

/** The text's blocks, each {node, tokens, start, end, dir, nodes: null}; parts begin blocks. */
export function blocksOf(tokens, starts) {
  let dir = "";
  return blockStretches(tokens, { starts }).map(([from, to]) => {
    const here = tokens.slice(from, to);
    const opens = from === 0 || tokens[from - 1][0].includes("\n");
    if (opens || !dir) dir = direction(here.map((token) => token[0]).join(" ")) || "ltr";
    const node = el("p", { dir });
    const [start, end] = [here[0][2], here.at(-1)[3] + here.at(-1)[1]];
    const lines = Math.ceil((end - start) / 75);
    node.style.containIntrinsicSize = `auto none auto ${lines * 2.1}em`;
    return { node, tokens: here, start, end, dir, nodes: null };
  });
}

/** The block as plain text, as long as nobody sees it. */
export function drawPlain(block) {
  const text = block.tokens.map(([piece, blank]) => visible(piece) + (blank ? " " : "")).join("");
  block.node.replaceChildren(text);
  block.nodes = null;
}

/**
 * The block with its pieces and marks ([start, end, label, state]). Sets block.nodes: the pieces' elements,
 * each with its offsets in dataset.s and dataset.e.
 */
export function drawBlock(block, marks, look) {
  block.units = splitAt(block.tokens, marks);
  if (look.characters) block.units = block.units.flatMap((unit) => graphemes(unit));
  block.nodes = block.units.map((unit) => pieceNode(unit));
  const drawn = document.createDocumentFragment();
  block.node.style.paddingInlineEnd = "";
  if (look.inLanes) drawLanes(drawn, block, marks, look);
  else drawMarks(drawn, block, marks, look);
  block.node.replaceChildren(drawn);
}

function pieceNode([text, , start, end]) {
  const node = el("span", { class: "t" }, visible(text));
  node.dataset.s = start;
  node.dataset.e = end;
  return node;
}

const blankAfter = (unit) => (unit[1] ? [" "] : []);

function drawMarks(drawn, { units, nodes, tokens, dir }, marks, look) {
  let at = 0;
  for (const span of marks) {
    for (; at < units.length && units[at][2] < span[0]; at += 1) drawn.append(nodes[at], ...blankAfter(units[at]));
    const first = at;
    while (at < units.length && units[at][3] <= span[1]) at += 1;
    if (at === first) continue;
    const mark = markNode(span, look);
    for (let i = first; i < at - 1; i += 1) mark.append(nodes[i], ...blankAfter(units[i]));
    const tag = tagNode(span, tokens, look);
    const way = wayOf(units, at - 1, dir);
    if (way === "rtl") tag.classList.add("after-rtl");
    // The label stays on the line of the last word, unless that is longer than a line may be.
    const last = nodes[at - 1];
    // Without this sign the label of a word against the paragraph's direction would fly to its far end.
    const held = way === dir ? [tag] : [tag, way === "rtl" ? "\u200f" : "\u200e"];
    if (units[at - 1][0].length > 30) mark.append(last, ...held);
    else mark.append(el("span", { class: "end" }, last, ...held));
    // The blank after a mark belongs to the line, not to the mark.
    drawn.append(mark, ...blankAfter(units[at - 1]));
    if (isChosen(span, look)) addGrips(span, units, nodes, dir);
  }
  for (; at < units.length; at += 1) drawn.append(nodes[at], ...blankAfter(units[at]));
}

function markNode(span, look) {
  const mark = el("mark", { class: classes(span, look), style: `--c:${colourOf(look.labels, span[2])}` });
  mark.dataset.m = span.slice(0, 3).join(" ");
  return mark;
}

const isChosen = (span, { chosen }) => Boolean(chosen) && span[3] !== "removed" && sameSpan(span, chosen);
const classes = (span, look) =>
  [patternOf(look.labels, span[2]), span[3], isChosen(span, look) ? "chosen" : ""].filter(Boolean).join(" ") || null;

function tagNode(span, tokens, look) {
  const { strings, labels } = look;
  const [start, end, label, state] = span;
  const said = strings.name(label, textOf(tokens, [start, end], 12));
  const tag = el("span", {
    class: ["tag", classes(span, look)].filter(Boolean).join(" "), style: `--c:${colourOf(labels, label)}`,
    title: label, dir: "auto", role: look.editable ? "button" : "img",
    tabindex: look.editable && state !== "removed" ? -1 : null,
    "aria-label": state ? `${said}, ${strings.state[state]}` : said,
    "aria-pressed": look.editable && state !== "removed" ? String(isChosen(span, look)) : null,
  }, state === "added" ? `+ ${label}` : state === "removed" ? el("s", {}, label) : label);
  tag.dataset.m = [start, end, label].join(" ");
  tag.dataset.state = state;
  return tag;
}

function drawLanes(drawn, block, marks, look) {
  const { units, nodes, tokens } = block;
  const { tagWidth, textWidth } = look.measure();
  const widths = new Map();
  const width = (unit) => {
    if (!widths.has(unit)) widths.set(unit, textWidth(unit[0] + (unit[1] ? " " : "")));
    return widths.get(unit);
  };
  const firsts = marks.map(([start]) => Math.max(0, units.findIndex((unit) => unit[2] >= start)));
  const lane = lanes(marks, (span) => reach(units, firsts[marks.indexOf(span)], tagWidth(span), width));
  const over = marks.map((span, index) => tagWidth(span) - width(units[firsts[index]]));
  if (over.some((extra) => extra > 0)) block.node.style.paddingInlineEnd = `min(40%, ${Math.ceil(Math.max(...over))}px)`;
  units.forEach((unit, at) => {
    const here = marks.map((_, index) => index).filter((i) => marks[i][0] <= unit[2] && unit[3] <= marks[i][1]);
    const node = nodes[at];
    const runsOn = here.some((i) => unit[3] < marks[i][1]);
    if (here.length) drawBars(node, here, { unit, marks, lane, firsts, at, block, look, tokens });
    // A blank inside a span lies in the piece, so that the bar below runs through.
    if (runsOn) node.append(...blankAfter(unit));
    drawn.append(node, ...(runsOn ? [] : blankAfter(unit)));
  });
  marks.forEach((span) => isChosen(span, look) && addGrips(span, units, nodes, block.dir));
}

function reach(units, first, width, widthOf) {
  let at = first;
  for (let left = width; at < units.length; at += 1) {
    left -= widthOf(units[at]);
    if (left <= 0) break;
  }
  return units[Math.min(at, units.length - 1)][3];
}

const BARS = {
  "": "linear-gradient(C, C)",
  p1: "repeating-linear-gradient(90deg, C 0 7px, transparent 7px 10px)",
  p2: "repeating-linear-gradient(90deg, C 0 2px, transparent 2px 5px)",
  p3: "linear-gradient(C 0 1px, transparent 1px 3px, C 3px)",
};

function drawBars(node, here, { unit, marks, lane, firsts, at, block, look, tokens }) {
  const count = Math.min(MOST_LANES, Math.max(...here.map((i) => lane[i])) + 1);
  node.classList.add("l");
  node.style.setProperty("--n", count);
  const layers = here.map((i) => {
    const [, end, label, state] = marks[i];
    const pattern = state === "removed" ? "p1" : patternOf(look.labels, label);
    const colour = `color-mix(in srgb, ${colourOf(look.labels, label)} 85%, var(--text))`;
    const last = unit[3] === end;
    const side = wayOf(block.units, at, block.dir) === "rtl" ? "right" : "left";
    return {
      image: BARS[pattern].replaceAll("C", colour),
      size: `${last ? "calc(100% - 2px)" : "100%"} ${isChosen(marks[i], look) ? "6px" : "4px"}`,
      place: `${side} 0 bottom calc(${count - 1 - lane[i]} * var(--lane) + var(--lane) - 6px)`,
    };
  });
  node.style.backgroundImage = layers.map((layer) => layer.image).join(",");
  node.style.backgroundSize = layers.map((layer) => layer.size).join(",");
  node.style.backgroundPosition = layers.map((layer) => layer.place).join(",");
  // An empty inline box below the line: only lines with marks grow, and only downwards.
  node.prepend(el("i", { class: "strut" }));
  for (const i of here.filter((index) => firsts[index] === at)) {
    const tag = tagNode(marks[i], tokens, look);
    tag.classList.add("low");
    tag.style.setProperty("--k", count - 1 - lane[i]);
    tag.classList.add(wayOf(block.units, at, block.dir) === "rtl" ? "at-right" : "at-left");
    node.append(tag);
  }
  if (here.some((i) => isChosen(marks[i], look))) node.classList.add("in-chosen");
}

/** Which way the piece runs: by its letters, else by those before it, else by its paragraph. */
function wayOf(units, at, dir) {
  for (let back = at; back >= 0 && at - back < 20; back -= 1) {
    const way = direction(units[back][0]);
    if (way) return way;
  }
  return dir;
}

function addGrips([start, end], units, nodes, dir) {
  const grip = (at, edge) => {
    if (at < 0) return;
    const left = (wayOf(units, at, dir) === "rtl") !== (edge === "start");
    const node = el("i", { class: `grip ${left ? "at-left" : "at-right"}`, "aria-hidden": "true" });
    node.dataset.edge = edge;
    nodes[at].append(node);
  };
  grip(units.findIndex((unit) => unit[2] === start), "start");
  grip(units.findIndex((unit) => unit[3] === end), "end");
}
