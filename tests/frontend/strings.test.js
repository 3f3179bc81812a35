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
