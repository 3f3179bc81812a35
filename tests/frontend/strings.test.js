import assert from "node:assert/strict";
import { test } from "node:test";

import { de } from "../../annoloop/review/frontend/strings_de.js";
import { en } from "../../annoloop/review/frontend/strings_en.js";

test("a suggestion names its source in the language of the page", () => {
  const said = {
    "model of round 3": "Modell der Runde 3",
    "vote of rules and model": "Abstimmung von Regeln und Modell",
    "vote of rules, LLM and model": "Abstimmung von Regeln, LLM und Modell",
    // What people named stays as they named it.
    "gpt, prompt annoloop.NER.v1/de-1": "gpt, prompt annoloop.NER.v1/de-1",
    "vote of rules and models": "vote of rules and models",
    "vote of the house": "vote of the house",
  };
  for (const [source, german] of Object.entries(said)) {
    assert.equal(de.suggestedBy(source), `Vorschlag: ${german}`);
    assert.equal(en.suggestedBy(source), `Suggested by ${source}`);
  }
});

test("where spans may overlap a doubt is of one label alone", () => {
  const missing = { label: null, expected: "ITEM", surface: "pump", agreeing: 11, places: 12, alone: true };
  const odd = { label: "JOB", expected: null, surface: "to", agreeing: 93, places: 117, alone: true };
  assert.equal(en.doubt(missing), "Look again: “pump” is not ITEM here, and ITEM in 11 of 12 other places.");
  assert.equal(en.doubt(odd), "Look again: “to” is JOB here, and not JOB in 93 of 117 other places.");
  assert.equal(de.doubt(missing), "Noch einmal ansehen: „pump“ ist hier nicht ITEM, an 11 von 12 anderen Stellen ITEM.");
  assert.match(en.doubt({ ...odd, alone: undefined }), /and not marked in 93/);
});
