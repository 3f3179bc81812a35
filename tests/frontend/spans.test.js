// node --test tests/frontend
import assert from "node:assert/strict";
import test from "node:test";
import { COLOURS, colourOf, patternOf } from "../../annoloop/review/frontend/colours.js";
import { blockStretches, partStarts } from "../../annoloop/review/frontend/parts.js";
import * as spans from "../../annoloop/review/frontend/spans.js";
import { paneStrings } from "../../annoloop/review/frontend/text_strings.js";

// "🙂 The North  Face\nNike": offsets in code points; JavaScript would count the emoji twice.
const TOKENS = [
  ["🙂", 1, 0, 1], ["The", 1, 2, 5], ["North", 1, 6, 11], [" ", 0, 12, 13], ["Face", 0, 13, 17],
  ["\n", 0, 17, 18], ["Nike", 0, 18, 22],
];
const joined = (tokens) => tokens.map(([text, blank]) => text + (blank ? " " : "")).join("");
const FAMILY = "👩‍👩‍👧‍👦";

/** Numbers below `n` that are the same in every run. */
function numbers(seed) {
  let state = seed;
  return (n) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * n);
  };
}

test("tokens are cut so that no span is lost, whatever its edges, and the text stays the same", () => {
  const next = numbers(7);
  const text = [...joined(TOKENS)];
  for (let round = 0; round < 500; round += 1) {
    const list = Array.from({ length: 1 + next(4) }, () => {
      const start = next(22);
      return [start, start + 1 + next(22 - start), "A"];
    });
    const pieces = spans.splitAt(TOKENS, list);
    assert.equal(joined(pieces), joined(TOKENS));
    for (const [piece, , start, end] of pieces) assert.equal(piece, text.slice(start, end).join(""));
    for (const [start, end] of list) {
      assert.ok(pieces.some((piece) => piece[2] === start), `start ${start} of ${JSON.stringify(list)}`);
      assert.ok(pieces.some((piece) => piece[3] === end), `end ${end} of ${JSON.stringify(list)}`);
    }
  }
});

test("graphemes are never cut, and code points stand in where the browser knows none", () => {
  const token = [`a${FAMILY}e\u0301🇩🇪`, 1, 10, 22];
  assert.deepEqual(spans.graphemes(token).map((piece) => [piece[0], ...piece.slice(2)]),
    [["a", 10, 11], [FAMILY, 11, 18], ["e\u0301", 18, 20], ["🇩🇪", 20, 22]]);
  assert.equal(joined(spans.graphemes(token)), joined([token]));
  assert.deepEqual(spans.graphemes(["a🙂b", 0, 0, 3], null).map((piece) => piece[3]), [1, 2, 3]);
  assert.deepEqual(spans.graphemes(["\n ", 0, 3, 5]), [["\n ", 0, 3, 5]]);
});

test("a word without end is cut into short ones, at graphemes", () => {
  const text = `${"x".repeat(1500)}${FAMILY.repeat(100)}`;
  const token = [text, 1, 5, 5 + [...text].length];
  const pieces = spans.chop([token]);
  assert.equal(joined(pieces), `${text} `);
  assert.ok(pieces.every(([piece]) => [...piece].length <= 80));
  for (const [piece, , start, end] of pieces) {
    assert.equal([...piece].length, end - start);
    assert.ok(/^x*(👩‍👩‍👧‍👦)*$/u.test(piece), piece);
  }
  assert.deepEqual(spans.chop(TOKENS), TOKENS);
});

test("a selection has no blanks at its ends, also within a word", () => {
  assert.deepEqual(spans.snap(TOKENS, 6, 17), [6, 17]);
  assert.deepEqual(spans.snap(TOKENS, 5, 13), [6, 11]);
  assert.deepEqual(spans.snap(TOKENS, 12, 18), [13, 17]);
  assert.deepEqual(spans.snap(TOKENS, 7, 9), [7, 9]);
  assert.equal(spans.snap(TOKENS, 12, 13), null);
  assert.equal(spans.snap(TOKENS, 17, 18), null);
});

test("a new span takes the place of those it touches, unless spans may overlap", () => {
  const old = [[0, 5, "A"], [13, 17, "A"]];
  assert.deepEqual(spans.addSpan(old, [2, 11, "B"], false), [[2, 11, "B"], [13, 17, "A"]]);
  assert.deepEqual(spans.addSpan(old, [2, 11, "B"], true), [[0, 5, "A"], [2, 11, "B"], [13, 17, "A"]]);
  assert.deepEqual(spans.addSpan(old, [0, 5, "A"], true), old);
  assert.deepEqual(spans.addSpan(old, [5, 13, "B"], false).length, 3);
  assert.deepEqual(spans.removeSpan([[0, 5, "A"], [0, 5, "B"]], [0, 5, "A"]), [[0, 5, "B"]]);
});

test("an edge moves by words over blanks, by graphemes in character mode, and leaves something", () => {
  const moved = (edge, step, characters) => spans.moveEdge(TOKENS, [6, 11, "A"], edge, step, characters);
  assert.deepEqual(moved("end", 1), [6, 17, "A"]);
  assert.deepEqual(moved("start", -1), [2, 11, "A"]);
  assert.equal(moved("end", -1), null);
  assert.equal(moved("start", 1), null);
  assert.deepEqual(moved("end", -1, true), [6, 10, "A"]);
  assert.deepEqual(moved("end", 1, true), [6, 14, "A"]);
  assert.deepEqual(moved("start", -1, true), [4, 11, "A"]);
  assert.deepEqual(spans.moveEdge(TOKENS, [7, 9, "A"], "end", 1), [7, 11, "A"]);
  assert.deepEqual(spans.moveEdge(TOKENS, [7, 9, "A"], "start", -1), [6, 9, "A"]);
  assert.equal(spans.moveEdge(TOKENS, [18, 22, "A"], "end", 1), null);
});

test("overlapping spans and the tags below them get lanes of their own", () => {
  const list = [[0, 4, "A"], [1, 2, "A"], [2, 3, "A"], [4, 6, "A"]];
  assert.deepEqual(spans.lanes(list), [0, 1, 1, 0]);
  assert.deepEqual(spans.lanes(list, (span) => span[0] + 4), [0, 1, 2, 0]);
  assert.equal(spans.anyOverlap(list), true);
  assert.equal(spans.anyOverlap([[0, 2, "A"], [2, 3, "A"]]), false);
});

test("against another set it shows what was added, removed and kept", () => {
  const now = [[0, 5, "A"], [6, 11, "B"]];
  assert.deepEqual(spans.compared(now, [[0, 5, "A"], [6, 11, "C"]]),
    [[0, 5, "A", ""], [6, 11, "B", "added"], [6, 11, "C", "removed"]]);
  assert.deepEqual(spans.compared(now, null).map((span) => span[3]), ["", ""]);
});

test("what changed between two sets is found, wherever it stands", () => {
  const list = Array.from({ length: 9 }, (_, index) => [index, index + 1, "A", ""]);
  assert.deepEqual(spans.changed(list, list), []);
  assert.deepEqual(spans.changed(list, list.slice(1)), [list[0]]);
  assert.deepEqual(spans.changed(list.slice(0, 8), list), [list[8]]);
  const other = list.map((span, index) => (index === 2 || index === 5 ? [...span.slice(0, 3), "added"] : span));
  assert.deepEqual(spans.changed(list, other), [list[2], list[5], other[2], other[5]]);
  assert.deepEqual(spans.changed([], list), list);
});

test("the text of a stretch is exact, and cut where it is only to be said", () => {
  assert.equal(spans.textOf(TOKENS, [6, 17]), "North  Face");
  assert.equal(spans.textOf(TOKENS, [3, 8]), "he No");
  assert.equal(spans.textOf(TOKENS, [0, 22], 2), "🙂 The …");
  assert.equal(spans.textLength(TOKENS), 22);
});

test("a text's direction is that of its first letter", () => {
  assert.equal(spans.direction("123 שלום"), "rtl");
  assert.equal(spans.direction("« مرحبا"), "rtl");
  assert.equal(spans.direction("12 Hello שלום"), "ltr");
  assert.equal(spans.direction("12, 🙂"), "");
});

test("control characters are shown, line breaks stay", () => {
  assert.equal(spans.visible("a\u0000b\r\nc\rd\te"), "a␀b\nc␍d\te");
});

const words = (count, each = () => "word") =>
  Array.from({ length: count }, (_, index) => [each(index), 1, index * 5, index * 5 + 4]);

test("blocks cover every token once, end at line breaks, and none is too long", () => {
  assert.deepEqual(blockStretches(TOKENS), [[0, 6], [6, 7]]);
  assert.deepEqual(blockStretches(TOKENS, { most: 3 }), [[0, 3], [3, 6], [6, 7]]);
  assert.deepEqual(blockStretches([]), []);
  const stretches = blockStretches(words(5000), { starts: [0, 77] });
  assert.deepEqual(stretches.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i)),
    Array.from({ length: 5000 }, (_, i) => i));
  assert.ok(stretches.every(([from, to]) => to - from <= 365));
  assert.deepEqual(stretches[0], [0, 77]);
  const unbroken = spans.chop([["x".repeat(100_000), 0, 0, 100_000]]);
  assert.ok(blockStretches(unbroken).every(([from, to]) => unbroken[to - 1][3] - unbroken[from][2] <= 1000));
});

test("parts begin after paragraphs or sentences, near an even division", () => {
  assert.deepEqual(partStarts(words(1500)), [0]);
  assert.deepEqual(partStarts([]), [0]);
  assert.deepEqual(partStarts(words(3001)), [0, 1000, 2001]);
  assert.deepEqual(partStarts(words(3000, (i) => (i === 1400 ? "end\n" : i === 1490 ? "end." : "word"))), [0, 1401]);
  assert.deepEqual(partStarts(words(3000, (i) => (i === 1490 ? "end.”" : "word"))), [0, 1491]);
  assert.equal(partStarts(words(20_000)).length, 14);
});

test("the first and the eleventh label differ in pattern, and tags can be read", () => {
  const labels = Array.from({ length: 12 }, (_, index) => `L${index}`);
  assert.equal(colourOf(labels, "L0"), colourOf(labels, "L10"));
  assert.notEqual(patternOf(labels, "L0"), patternOf(labels, "L10"));
  assert.equal(patternOf(labels, "gone"), "");
  const light = (channel) => (channel <= 0.03928 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4);
  for (const colour of [...COLOURS, colourOf(labels, "gone")]) {
    // As in text.css: 62 % of the colour, the rest black, below white letters.
    const [r, g, b] = [1, 3, 5].map((at) => light((parseInt(colour.slice(at, at + 2), 16) / 255) * 0.62));
    assert.ok(1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05) >= 4.5, colour);
  }
});

test("the pane says everything in both languages", () => {
  assert.deepEqual(Object.keys(paneStrings("de")), Object.keys(paneStrings("en")));
  assert.equal(paneStrings("fr"), paneStrings("en"));
});
