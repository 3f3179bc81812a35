// What a key press asks for. Values in, values out.

/** Keys that choose labels, in order; none of them is a command. */
export const LABEL_KEYS = [..."1234567890qwrtuiopsdjklvbn"];

/** The key that chooses the label at `index`, or "" where there are more labels than keys. */
export const labelKey = (index) => LABEL_KEYS[index] || "";

const COMMANDS = {
  a: "accept",
  x: "reject",
  " ": "ignore",
  Backspace: "undo",
  c: "characters",
  e: "explain",
  f: "flag",
  g: "guidelines",
  h: "help",
  m: "comment",
  y: "history",
  "/": "search",
  Escape: "escape",
};
const SHIFTED = { a: "acceptAll", e: "restore" };

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
  // The slash stands above the 7 on many keyboards, and is no 7.
  const key = placed && !/^[a-z0-9/]$/.test(typed) ? placed : typed;
  if (event.ctrlKey || event.metaKey) {
    if (key === "s") return { name: "save" };
    return key === "z" && !event.shiftKey ? { name: "undo" } : null;
  }
  if (event.shiftKey && SHIFTED[key]) return { name: SHIFTED[key] };
  const index = LABEL_KEYS.indexOf(key);
  if (index >= 0) return index < labelCount ? { name: "label", index } : null;
  return COMMANDS[key] ? { name: COMMANDS[key] } : null;
}

/** Chosen categories after a choice. Where only one may be chosen, a second one takes it back. */
export function toggleLabel(chosen, label, exclusive) {
  if (chosen.includes(label)) return chosen.filter((other) => other !== label);
  return exclusive ? [label] : [...chosen, label];
}

/** Whether a node takes letters itself. */
export function isTextInput(node) {
  if (!(node instanceof HTMLElement)) return false;
  if (node.isContentEditable || node.tagName === "TEXTAREA" || node.tagName === "SELECT") return true;
  const plain = ["button", "checkbox", "radio", "range", "submit", "reset", "color", "file"];
  return node.tagName === "INPUT" && !plain.includes(node.type);
}

/** The indices of the labels that fit what was typed: those that begin with it, then the others. */
export function findLabels(labels, definitions, typed) {
  const wanted = typed.trim().toLocaleLowerCase();
  const rank = (label) => {
    const name = label.toLocaleLowerCase();
    if (name.startsWith(wanted)) return 0;
    if (name.includes(wanted)) return 1;
    return (definitions[label] || "").toLocaleLowerCase().includes(wanted) ? 2 : 3;
  };
  return labels
    .map((label, index) => [rank(label), index])
    .filter(([order]) => order < 3)
    .sort((a, b) => a[0] - b[0] || a[1] - b[1])
    .map(([, index]) => index);
}
