// Colours of labels, by their place in the scheme; from the eleventh on a pattern tells them apart.

export const COLOURS = [
  "#2f7de1", "#e0662f", "#2a9d63", "#b84fd0", "#c99700", "#d6336c", "#0fa3b1", "#7a6ff0", "#9a6b2f", "#5c8a2a",
];
/** For a label that the scheme does not know (any more). */
export const UNKNOWN = "#77808c";
const PATTERNS = ["", "p1", "p2", "p3"];

export function colourOf(labels, label) {
  const index = labels.indexOf(label);
  return index < 0 ? UNKNOWN : COLOURS[index % COLOURS.length];
}

/** The class that makes the label differ from those of the same colour: "" for the first ten. */
export function patternOf(labels, label) {
  const index = labels.indexOf(label);
  return index < 0 ? "" : PATTERNS[Math.floor(index / COLOURS.length) % PATTERNS.length];
}
