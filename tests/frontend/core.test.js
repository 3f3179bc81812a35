// node --test tests/frontend
import assert from "node:assert/strict";
import test from "node:test";
import * as core from "../../annoloop/review/frontend/core.js";
import { LANGUAGES, stringsFor } from "../../annoloop/review/frontend/strings.js";

// "🙂 The North  Face\nNike": offsets in code points; JavaScript would count the emoji twice.
const TOKENS = [
  ["🙂", 1, 0, 1], ["The", 1, 2, 5], ["North", 1, 6, 11], [" ", 0, 12, 13], ["Face", 0, 13, 17],
  ["\n", 0, 17, 18], ["Nike", 0, 18, 22],
];
const key = (name, more = {}) => ({ key: name, code: "", ...more });

test("offsets go to token indices and back unchanged", () => {
  const offsets = [[6, 17, "A"], [18, 22, "B"]];
  assert.deepEqual(core.toOffsets(TOKENS, core.fromOffsets(TOKENS, offsets)), offsets);
});

test("a selection in either direction snaps to tokens without blanks at its ends", () => {
  assert.deepEqual(core.snap(TOKENS, 4, 2), { start: 2, end: 5 });
  assert.deepEqual(core.snap(TOKENS, 3, 5), { start: 4, end: 5 });
  assert.equal(core.snap(TOKENS, 3, 3), null);
});

test("a new span takes the place of those it touches, unless spans may overlap", () => {
  const old = [{ start: 0, end: 2, label: "A" }, { start: 4, end: 5, label: "A" }];
  const span = { start: 1, end: 3, label: "B" };
  assert.deepEqual(core.addSpan(old, span, false), [span, old[1]]);
  assert.deepEqual(core.addSpan(old, span, true), [old[0], span, old[1]]);
  assert.equal(core.addSpan([...old, span], { ...span }, true).length, 3);
});

test("a click takes the shortest span under it", () => {
  const spans = [{ start: 0, end: 5, label: "A" }, { start: 1, end: 3, label: "B" }];
  assert.equal(core.spanAt(spans, 2).label, "B");
  assert.equal(core.spanAt(spans, 4).label, "A");
  assert.equal(core.spanAt(spans, 5), undefined);
});

test("overlapping spans get lanes of their own, others share one", () => {
  const spans = [[0, 4], [1, 2], [2, 3], [4, 6]].map(([start, end]) => ({ start, end, label: "A" }));
  assert.deepEqual(core.lanes(spans), [0, 1, 1, 0]);
});

test("paragraphs cover every token once and end at line breaks", () => {
  assert.deepEqual(core.paragraphs(TOKENS), [[0, 6], [6, 7]]);
  assert.deepEqual(core.paragraphs(TOKENS, 3), [[0, 3], [3, 6], [6, 7]]);
  assert.deepEqual(core.paragraphs([]), []);
});

test("control characters are shown, line breaks stay", () => {
  assert.equal(core.visible("a\u0000b\r\nc\rd\te"), "a␀b\nc␍d\te");
});

test("keys are Prodigy's, on any layout, and leave the browser's own alone", () => {
  const name = (event, labels = 3) => core.keyCommand(event, labels)?.name ?? null;
  assert.equal(name(key("a")), "accept");
  assert.equal(name(key("A")), "accept");
  assert.equal(name(key("x")), "reject");
  assert.equal(name(key(" ", { code: "Space" })), "ignore");
  assert.equal(name(key("Backspace")), "undo");
  assert.equal(name(key("s", { ctrlKey: true })), "save");
  assert.equal(name(key("s", { metaKey: true })), "save");
  assert.equal(name(key("a", { ctrlKey: true })), null);
  assert.equal(name(key("r", { metaKey: true })), null);
  assert.equal(name(key("Tab", { code: "Tab" })), null);
  assert.equal(name(key("a", { isComposing: true })), null);
  // AZERTY: "a" stands where Q is; its digits need Shift. Cyrillic: the key's place counts.
  assert.equal(name(key("a", { code: "KeyQ" })), "accept");
  assert.deepEqual(core.keyCommand(key("é", { code: "Digit2" }), 3), { name: "label", index: 1 });
  assert.equal(name(key("ф", { code: "KeyA" })), "accept");
});

test("label keys never clash with commands, and only as many work as there are labels", () => {
  for (const [index, label] of core.LABEL_KEYS.entries()) {
    assert.deepEqual(core.keyCommand(key(label), 99), { name: "label", index });
  }
  assert.equal(core.keyCommand(key("4"), 3), null);
  assert.equal(core.labelKey(10), "q");
  assert.equal(core.labelKey(99), "");
});

test("a second click takes a category back; single choice holds one", () => {
  assert.deepEqual(core.toggleLabel(["a"], "b", true), ["b"]);
  assert.deepEqual(core.toggleLabel(["a"], "a", true), []);
  assert.deepEqual(core.toggleLabel(["a"], "b", false), ["a", "b"]);
});

test("every language says everything, in the browser's order of preference", () => {
  const shape = (value) =>
    typeof value === "object" ? Object.entries(value).map(([k, v]) => [k, shape(v)]) : typeof value;
  for (const strings of Object.values(LANGUAGES)) assert.deepEqual(shape(strings), shape(LANGUAGES.en));
  assert.equal(stringsFor(["fr-FR", "de-AT", "en"]).lang, "de");
  assert.equal(stringsFor([]).lang, "en");
});
