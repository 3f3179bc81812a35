// Widths of words and tags without laying anything out.

let pen = null;
const fonts = new WeakMap();
const MOST = 192;

/** {textWidth(text), tagWidth(span)} in CSS pixels for a text pane's root. */
export function measuring(root) {
  if (!fonts.has(root) && root.isConnected) {
    const { fontSize, fontFamily } = getComputedStyle(root);
    fonts.set(root, { text: `${fontSize} ${fontFamily}`, tag: `600 11px ${fontFamily}` });
  }
  // Before it stands in the page: small, so that tags get rather too much room than too little.
  const { text, tag } = fonts.get(root) ?? { text: "18px sans-serif", tag: "600 11px sans-serif" };
  pen ??= document.createElement("canvas").getContext("2d");
  const width = (font, words) => {
    pen.font = font;
    return pen.measureText(words).width;
  };
  return {
    textWidth: (words) => width(text, words),
    tagWidth: ([, , label, state]) => Math.min(MOST, 14 + width(tag, label) + 0.35 * label.length + (state === "added" ? 12 : 0)),
  };
}
