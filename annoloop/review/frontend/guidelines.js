// The project's guidelines beside the text. Their HTML was made from markdown; only what is listed here enters.

import { el } from "./dom.js";

const ALLOWED = new Set(
  "A B BLOCKQUOTE BR CODE DEL EM HR I LI OL P PRE S STRONG TABLE TBODY TD TH THEAD TR UL".split(" "));
const DROPPED = new Set("SCRIPT STYLE TEMPLATE IFRAME OBJECT EMBED SVG MATH IMG NOSCRIPT TITLE".split(" "));
const SCHEMES = ["http:", "https:", "mailto:"];

/** A link's address where it may be followed, else null. */
export function safeAddress(address) {
  try {
    return SCHEMES.includes(new URL(address).protocol) ? address : null;
  } catch {
    return null;
  }
}

function* cleaned(nodes) {
  for (const node of nodes) {
    if (node.nodeType === Node.TEXT_NODE) yield document.createTextNode(node.data);
    if (node.nodeType !== Node.ELEMENT_NODE || DROPPED.has(node.tagName)) continue;
    const heading = /^H([1-6])$/.exec(node.tagName);
    const children = [...cleaned(node.childNodes)];
    // The sheet's own title is of the second level.
    if (heading) yield el(`h${Math.min(6, Number(heading[1]) + 2)}`, {}, ...children);
    else if (node.tagName === "A") yield link(node.getAttribute("href"), children);
    else if (ALLOWED.has(node.tagName)) yield el(node.tagName.toLowerCase(), {}, ...children);
    else yield* children;
  }
}

function link(address, children) {
  const href = safeAddress(address);
  return href ? el("a", { href, rel: "noopener noreferrer", target: "_blank" }, ...children) : el("span", {}, ...children);
}

export class Guidelines {
  /** `closed` is called when the sheet was closed by its own button. */
  constructor({ strings, closed }) {
    const s = strings;
    this.strings = s;
    this.body = el("div", { class: "prose", tabindex: 0, role: "region", "aria-label": s.guidelines });
    const close = el("button", { class: "round", type: "button", "aria-label": s.close, title: s.close }, "✕");
    close.addEventListener("click", () => {
      this.toggle();
      closed();
    });
    this.root = el("aside", { class: "guidelines", hidden: true, "aria-label": s.guidelines },
      el("header", {}, el("h2", {}, s.guidelines), close), this.body);
  }

  get open() {
    return !this.root.hidden;
  }

  /** The guidelines as they are now, with the language they are written in. */
  update(html, lang) {
    if (html === this.html) return;
    this.html = html;
    this.body.lang = lang;
    const source = new DOMParser().parseFromString(html || "", "text/html");
    const nodes = [...cleaned(source.body.childNodes)];
    this.body.replaceChildren(...(nodes.length ? nodes : [el("p", {}, this.strings.noGuidelines)]));
  }

  toggle() {
    this.root.hidden = !this.root.hidden;
  }
}
