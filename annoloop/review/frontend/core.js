// Tokens, spans and keys: values in, values out. No DOM, no network.
//
// A token is [text, blank, start, end] as the server sends it: offsets in code points, which JavaScript
// never counts itself. A span here is {start, end, label} in token indices, `end` exclusive.

/** Keys that choose labels, in order; none of them is a command now or planned (a x f h e g c). */
export const LABEL_KEYS = [..."1234567890qwrtuiopsdjklvbnm"];

/** The key that chooses the label at `index`, or "" where there are more labels than keys. */
export const labelKey = (index) => LABEL_KEYS[index] || "";

const COMMANDS = { a: "accept", x: "reject", h: "help", " ": "ignore", Backspace: "undo", Escape: "escape" };

/**
 * What a key press asks for: {name, index?} or null where it is not ours.
 * Letters are taken as typed, so that QWERTZ and AZERTY work; where the layout has no Latin letters or
 * digits (Cyrillic, AZERTY's digit row) the place of the key on the keyboard counts.
 */
export function keyCommand(event, labelCount) {
  if (event.isComposing || event.altKey) return null;
  const typed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const place = /^(?:Key([A-Z])|(?:Digit|Numpad)([0-9]))$/.exec(event.code || "");
  const placed = place ? (place[1] || place[2]).toLowerCase() : "";
  const key = placed && !/^[a-z0-9]$/.test(typed) ? placed : typed;
  if (event.ctrlKey || event.metaKey) {
    if (key === "s") return { name: "save" };
    return key === "z" && !event.shiftKey ? { name: "undo" } : null;
  }
  const index = LABEL_KEYS.indexOf(key);
  if (index >= 0) return index < labelCount ? { name: "label", index } : null;
  return COMMANDS[key] ? { name: COMMANDS[key] } : null;
}

const isBlank = (token) => token[0].trim() === "";

/** The tokens from `a` to `b` (either order, both inclusive) without blanks at the ends, or null. */
export function snap(tokens, a, b) {
  let start = Math.min(a, b);
  let last = Math.max(a, b);
  while (start <= last && isBlank(tokens[start])) start += 1;
  while (last >= start && isBlank(tokens[last])) last -= 1;
  return start <= last ? { start, end: last + 1 } : null;
}

const bySpan = (a, b) => a.start - b.start || b.end - a.end || (a.label < b.label ? -1 : 1);

/** Spans with one more. Where they may not overlap, the new one takes the place of those it touches. */
export function addSpan(spans, span, overlapping) {
  const clear = (other) =>
    overlapping
      ? other.start !== span.start || other.end !== span.end || other.label !== span.label
      : other.end <= span.start || other.start >= span.end;
  return [...spans.filter(clear), span].sort(bySpan);
}

export const removeSpan = (spans, span) => spans.filter((other) => other !== span);

/** The span to remove when token `index` is clicked: the shortest that covers it, or undefined. */
export function spanAt(spans, index) {
  return spans
    .filter((span) => span.start <= index && index < span.end)
    .sort((a, b) => a.end - a.start - (b.end - b.start))[0];
}

/** Spans in token indices as [start, end, label] in code points. */
export const toOffsets = (tokens, spans) =>
  spans.map(({ start, end, label }) => [tokens[start][2], tokens[end - 1][3], label]);

/** Spans in code points as spans in token indices; the server splits tokens so that every edge is found. */
export function fromOffsets(tokens, offsets) {
  const starts = new Map(tokens.map((token, index) => [token[2], index]));
  const ends = new Map(tokens.map((token, index) => [token[3], index + 1]));
  return offsets
    .filter(([start, end]) => starts.has(start) && ends.has(end))
    .map(([start, end, label]) => ({ start: starts.get(start), end: ends.get(end), label }))
    .sort(bySpan);
}

/** Stretches of token indices [from, to) that end with a line break or after `most` tokens. */
export function paragraphs(tokens, most = 400) {
  const stretches = [];
  let from = 0;
  tokens.forEach((token, index) => {
    if (token[0].includes("\n") || index - from + 1 >= most) {
      stretches.push([from, index + 1]);
      from = index + 1;
    }
  });
  if (from < tokens.length) stretches.push([from, tokens.length]);
  return stretches;
}

/** A lane for each span, so that spans in one lane never overlap: lanes[i] belongs to spans[i]. */
export function lanes(spans) {
  const ends = [];
  return spans.map((span) => {
    let lane = ends.findIndex((end) => end <= span.start);
    if (lane < 0) lane = ends.length;
    ends[lane] = span.end;
    return lane;
  });
}

/** Text fit for the screen: control characters become visible signs, line breaks stay. */
export function visible(text) {
  return text
    .replace(/\r\n?/g, (found) => (found === "\r\n" ? "\n" : "\u240d"))
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, (char) => String.fromCharCode(0x2400 + char.charCodeAt(0)));
}

/** Chosen categories after a click on one. Where only one may be chosen, a second click takes it back. */
export function toggleLabel(chosen, label, exclusive) {
  if (chosen.includes(label)) return chosen.filter((other) => other !== label);
  return exclusive ? [label] : [...chosen, label];
}
