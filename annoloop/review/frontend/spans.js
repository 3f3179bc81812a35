// Tokens and spans: values in, values out. No DOM.
//
// A token is [text, blank, start, end] as the server sends it, a span [start, end, label]. All offsets are
// code points, half-open; JavaScript counts UTF-16 units, so strings are never indexed by them directly.

const segmenter = globalThis.Intl?.Segmenter ? new Intl.Segmenter(undefined, { granularity: "grapheme" }) : null;
const LONG = 1000;
const CHUNK = 64;

export const isBlank = (token) => token[0].trim() === "";

/** Length of the whole text in code points. */
export const textLength = (tokens) => (tokens.length ? tokens.at(-1)[3] + tokens.at(-1)[1] : 0);

/** The index of the last token that starts at or before `offset`. */
export function tokenAt(tokens, offset) {
  let low = 0;
  let high = tokens.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tokens[middle][2] <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The text from `start` to `end`, blanks included, at most `most` tokens of it. */
export function textOf(tokens, [start, end], most = Infinity) {
  let text = "";
  const first = tokenAt(tokens, start);
  for (let at = first; at < tokens.length && tokens[at][2] < end; at += 1) {
    if (at - first >= most) return `${text}…`;
    const [piece, blank, from, to] = tokens[at];
    const whole = from >= start && to <= end;
    text += whole ? piece : [...piece].slice(Math.max(0, start - from), Math.max(0, end - from)).join("");
    if (blank && to < end && to >= start) text += " ";
  }
  return text;
}

function cut(token, edges) {
  const [text, blank, start, end] = token;
  const points = [...text];
  const borders = [start, ...edges, end];
  return edges.concat(end).map((edge, index) => {
    const from = borders[index];
    return [points.slice(from - start, edge - start).join(""), edge === end ? blank : 0, from, edge];
  });
}

/**
 * Tokens cut so that both edges of every span are borders; a blank that a span begins or ends with becomes
 * a piece of its own. Joined with their blanks the pieces are the same text.
 */
export function splitAt(tokens, spans) {
  const starts = new Set(spans.map(([start]) => start));
  const ends = new Set(spans.map(([, end]) => end));
  const edges = [...new Set([...starts, ...ends])].sort((a, b) => a - b);
  let next = 0;
  return tokens.flatMap((token) => {
    const [, blank, start, end] = token;
    const inside = [];
    for (; next < edges.length && edges[next] < end; next += 1) if (edges[next] > start) inside.push(edges[next]);
    const pieces = inside.length ? cut(token, inside) : [token];
    if (!blank || !(starts.has(end) || ends.has(end + 1))) return pieces;
    const last = pieces.at(-1);
    return [...pieces.slice(0, -1), [last[0], 0, last[2], end], [" ", 0, end, end + 1]];
  });
}

/** A token's graphemes as pieces; code points where the browser cannot tell graphemes. Blanks stay whole. */
export function graphemes(token, segments = segmenter) {
  const [text, , start] = token;
  if (text.length < 2 || isBlank(token)) return [token];
  const borders = [];
  let at = start;
  for (const part of segments ? segments.segment(text) : text) {
    borders.push(at);
    at += [...(part.segment ?? part)].length;
  }
  return borders.length < 2 ? [token] : cut(token, borders.slice(1));
}

/** Tokens of which none is longer than a screen: a text without blanks is cut at graphemes. */
export function chop(tokens) {
  return tokens.flatMap((token) => (token[0].length > LONG ? chunks(token) : [token]));
}

function chunks(token) {
  const points = [...token[0]];
  const borders = [];
  let from = 0;
  while (points.length - from > CHUNK) {
    let to = from + CHUNK;
    const near = points.slice(from, to + CHUNK).join("");
    if (segmenter && /[^\u0020-\u007e]/.test(near)) {
      let reach = from;
      for (const { segment } of segmenter.segment(near)) {
        reach += [...segment].length;
        if (reach >= to) break;
      }
      to = reach;
    }
    if (to >= points.length) break;
    borders.push(token[2] + to);
    from = to;
  }
  return cut(token, borders);
}

/** [start, end] without blanks at its ends, or null where nothing is left. */
export function snap(tokens, start, end) {
  let first = tokenAt(tokens, start);
  let last = tokenAt(tokens, end - 1);
  if (tokens[first][3] <= start) first += 1;
  while (first <= last && isBlank(tokens[first])) first += 1;
  while (last >= first && isBlank(tokens[last])) last -= 1;
  if (first > last) return null;
  return [Math.max(start, tokens[first][2]), Math.min(end, tokens[last][3])];
}

export const sameSpan = (a, b) => a[0] === b[0] && a[1] === b[1] && a[2] === b[2];

/** Spans in the order of the text, the longer first. */
export const sorted = (spans) =>
  [...spans].sort((a, b) => a[0] - b[0] || b[1] - a[1] || (a[2] < b[2] ? -1 : Number(a[2] > b[2])));

/** Spans with one more. Where they may not overlap, the new one takes the place of those it touches. */
export function addSpan(spans, span, overlapping) {
  const clear = (other) => (overlapping ? !sameSpan(other, span) : other[1] <= span[0] || other[0] >= span[1]);
  return sorted([...spans.filter(clear), span]);
}

export const removeSpan = (spans, span) => spans.filter((other) => !sameSpan(other, span));

/** The spans that cover the stretch, the shortest first. */
export const spansAt = (spans, [start, end]) =>
  spans.filter((span) => span[0] <= start && end <= span[1]).sort((a, b) => a[1] - a[0] - (b[1] - b[0]));

/** `span` with one edge ("start" or "end") one token (or grapheme) on, or null where that leaves nothing. */
export function moveEdge(tokens, span, edge, step, characters = false) {
  const side = edge === "start" ? 0 : 1;
  for (let at = tokenAt(tokens, side ? span[1] - 1 : span[0]); tokens[at]; at += step) {
    if (isBlank(tokens[at])) continue;
    const pieces = characters ? graphemes(tokens[at]) : [tokens[at]];
    const borders = pieces.map((piece) => piece[2 + side]);
    const found = (step > 0 ? borders : borders.reverse()).find((border) => (border - span[side]) * step > 0);
    if (found === undefined) continue;
    const moved = side ? [span[0], found, span[2]] : [found, span[1], span[2]];
    return moved[0] < moved[1] ? moved : null;
  }
  return null;
}

/**
 * A lane for each span, so that none in one lane overlap: lanes[i] belongs to spans[i]. `reach(span)` is how
 * far the span and the tag below its first word go.
 */
export function lanes(spans, reach = (span) => span[1]) {
  const ends = [];
  return spans.map((span) => {
    let lane = ends.findIndex((end) => end <= span[0]);
    if (lane < 0) lane = ends.length;
    ends[lane] = Math.max(span[1], reach(span));
    return lane;
  });
}

/** Whether any two of the spans (in the order of the text) overlap. */
export function anyOverlap(spans) {
  let reached = 0;
  return spans.some(([start, end]) => {
    const touches = start < reached;
    reached = Math.max(reached, end);
    return touches;
  });
}

/** Spans as [start, end, label, state]: "added" or "removed" against another set, else "". */
export function compared(spans, against) {
  if (!against) return spans.map((span) => [...span.slice(0, 3), ""]);
  const has = (list, span) => list.some((other) => sameSpan(other, span));
  return sorted([
    ...spans.map((span) => [...span.slice(0, 3), has(against, span) ? "" : "added"]),
    ...against.filter((span) => !has(spans, span)).map((span) => [...span.slice(0, 3), "removed"]),
  ]);
}

/** The spans that are in only one of two lists in the order of the text. */
export function changed(before, after) {
  const same = (a, b) => sameSpan(a, b) && a[3] === b[3];
  const least = Math.min(before.length, after.length);
  let head = 0;
  while (head < least && same(before[head], after[head])) head += 1;
  let tail = 0;
  while (tail < least - head && same(before.at(-1 - tail), after.at(-1 - tail))) tail += 1;
  const [was, is] = [before, after].map((list) => list.slice(head, list.length - tail));
  const missing = (from, list) => {
    const names = new Set(list.map((span) => span.join(" ")));
    return from.filter((span) => !names.has(span.join(" ")));
  };
  return [...missing(was, is), ...missing(is, was)];
}

const RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]|[\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const STRONG = /\p{L}/u;

/** "rtl" or "ltr" by the first letter, "" where there is none. */
export function direction(text) {
  const letter = STRONG.exec(text)?.[0];
  if (!letter) return "";
  return RTL.test(letter) ? "rtl" : "ltr";
}

/** Text fit for the screen: control characters become visible signs, line breaks stay. */
export function visible(text) {
  return text
    .replace(/\r\n?/g, (found) => (found === "\r\n" ? "\n" : "\u240d"))
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, (char) => String.fromCharCode(0x2400 + char.charCodeAt(0)));
}
