// How two annotations of one text differ. Values in, values out; spans are [start, end, label] in code points.

import { textOf } from "./spans.js";

const same = (a, b) => a[0] === b[0] && a[1] === b[1] && a[2] === b[2];
const overlaps = (a, b) => a[0] < b[1] && b[0] < a[1];

/**
 * What was changed from `before` to `after`: spans `added` and `removed`, those of the same words
 * `relabelled` and those of the same label `moved` (both as [before, after]), and categories.
 */
export function difference(before, after) {
  const removed = before.spans.filter((span) => !after.spans.some((other) => same(span, other)));
  const added = after.spans.filter((span) => !before.spans.some((other) => same(span, other)));
  return {
    relabelled: pairs(removed, added, (a, b) => a[0] === b[0] && a[1] === b[1]),
    moved: pairs(removed, added, (a, b) => a[2] === b[2] && overlaps(a, b)),
    removed,
    added,
    labelsRemoved: before.labels.filter((label) => !after.labels.includes(label)),
    labelsAdded: after.labels.filter((label) => !before.labels.includes(label)),
  };
}

export const differs = (before, after) => Object.values(difference(before, after)).some((list) => list.length);

/** Takes out of both lists what belongs together. */
function pairs(removed, added, fit) {
  const found = [];
  for (const span of [...removed]) {
    const match = added.find((other) => fit(span, other));
    if (!match) continue;
    found.push([span, match]);
    removed.splice(removed.indexOf(span), 1);
    added.splice(added.indexOf(match), 1);
  }
  return found;
}

/** The spans that are not in every one of several annotations. */
export function disputed(annotations) {
  return annotations.map(({ spans }) =>
    spans.filter((span) => !annotations.every((other) => other.spans.some((theirs) => same(span, theirs)))));
}

/** The words from code point `start` to `end`, shortened in the middle where they are many. */
export function wordsOf(tokens, start, end, most = 80) {
  const letters = [...textOf(tokens, [start, end])];
  if (letters.length <= most) return letters.join("");
  const half = Math.floor(most / 2);
  return `${letters.slice(0, half).join("")} … ${letters.slice(-half).join("")}`;
}
