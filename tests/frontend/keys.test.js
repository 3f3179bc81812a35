// node --test tests/frontend
import assert from "node:assert/strict";
import test from "node:test";
import * as keys from "../../annoloop/review/frontend/keys.js";
import { LANGUAGES, stringsFor } from "../../annoloop/review/frontend/strings.js";

const key = (name, more = {}) => ({ key: name, code: "", ...more });

test("keys are Prodigy's, on any layout, and leave the browser's own alone", () => {
  const name = (event, labels = 3) => keys.keyCommand(event, labels)?.name ?? null;
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
  assert.deepEqual(keys.keyCommand(key("é", { code: "Digit2" }), 3), { name: "label", index: 1 });
  assert.equal(name(key("ф", { code: "KeyA" })), "accept");
  // QWERTZ: the slash is Shift and 7, and is no seven; z and y change places, and mean what they say.
  assert.equal(name(key("/", { code: "Digit7", shiftKey: true }), 10), "search");
  assert.equal(name(key("y", { code: "KeyZ" })), "history");
  assert.equal(name(key("z", { code: "KeyY" })), null);
});

test("shift makes two keys do more, caps lock does not", () => {
  const name = (event) => keys.keyCommand(event, 3)?.name;
  assert.equal(name(key("A", { shiftKey: true })), "acceptAll");
  assert.equal(name(key("E", { shiftKey: true })), "restore");
  assert.deepEqual([name(key("A")), name(key("E")), name(key("F", { shiftKey: true }))], ["accept", "explain", "flag"]);
});

test("labels are found by their beginning first, then by any part, then by what they mean", () => {
  const labels = ["ORG", "FORGE", "PER"];
  assert.deepEqual(keys.findLabels(labels, { PER: "works for an org" }, " org"), [0, 1, 2]);
  assert.deepEqual(keys.findLabels(labels, {}, "zz"), []);
  assert.deepEqual(keys.findLabels(labels, {}, ""), [0, 1, 2]);
});

test("label keys never clash with commands, and only as many work as there are labels", () => {
  for (const [index, label] of keys.LABEL_KEYS.entries()) {
    assert.deepEqual(keys.keyCommand(key(label), 99), { name: "label", index });
  }
  assert.equal(keys.keyCommand(key("4"), 3), null);
  assert.equal(keys.labelKey(10), "q");
  assert.equal(keys.labelKey(99), "");
});

test("a second click takes a category back; single choice holds one", () => {
  assert.deepEqual(keys.toggleLabel(["a"], "b", true), ["b"]);
  assert.deepEqual(keys.toggleLabel(["a"], "a", true), []);
  assert.deepEqual(keys.toggleLabel(["a"], "b", false), ["a", "b"]);
});

test("every language says everything, in the browser's order of preference", () => {
  const shape = (value) =>
    typeof value === "object" ? Object.entries(value).map(([k, v]) => [k, shape(v)]) : typeof value;
  for (const strings of Object.values(LANGUAGES)) assert.deepEqual(shape(strings), shape(LANGUAGES.en));
  assert.equal(stringsFor(["fr-FR", "de-AT", "en"]).lang, "de");
  assert.equal(stringsFor([]).lang, "en");
});
