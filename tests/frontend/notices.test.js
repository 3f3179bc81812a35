// node --test tests/frontend: what is said above a text
import assert from "node:assert/strict";
import test from "node:test";
import { noticesFor } from "../../annoloop/review/frontend/notices.js";
import { LANGUAGES, stringsFor } from "../../annoloop/review/frontend/strings.js";
import { task } from "./fakes.js";

globalThis.document = {
  createElement: (name) => ({
    name,
    attributes: {},
    children: [],
    setAttribute(key, value) { this.attributes[key] = value; },
    addEventListener() {},
    append(...children) { this.children.push(...children); },
  }),
};

const suggestion = (more = {}) => ({ source: "qwen", score: null, labels: [], spans: [[0, 1, "A"]], reason: "", unplaced: [], ...more });
const said = (given, language = "en", more = {}) =>
  noticesFor(given, { hasSpans: true, strings: stringsFor([language]), ...more }).map((node) => [node.attributes.class, node.children.join("")]);

test("what found no place stands above the text, all of it, as text", () => {
  const unplaced = ["Gucci", "<b>\r\nPrada", "👍".repeat(300)];
  for (const language of Object.keys(LANGUAGES)) {
    const lines = said(task("a", { suggestion: suggestion({ unplaced }) }), language);
    assert.equal(lines.length, 2);
    const [kind, words] = lines[1];
    assert.equal(kind, "notice blind");
    assert.ok(words.includes("Gucci") && words.includes("<b> Prada"));
    assert.ok(words.includes(`${"👍".repeat(200)}…`) && !words.includes("👍".repeat(201)));
  }
});

test("nothing more is said where everything has its place, or nothing is suggested", () => {
  assert.equal(said(task("a", { suggestion: suggestion() })).length, 1);
  assert.equal(said(task("a", { suggestion: suggestion({ unplaced: undefined }) })).length, 1);
  assert.equal(said(task("a")).length, 1);
  assert.equal(said(task("a", { suggestion: suggestion({ unplaced: ["Gucci"] }) }), "en", { adjudicate: true }).length, 0);
});
