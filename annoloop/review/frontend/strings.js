// The page's words, in the project's or the browser's language.

import { de } from "./strings_de.js";
import { en } from "./strings_en.js";

export const LANGUAGES = { en, de };

/** The strings for the first of the browser's languages that there is, else English. */
export function stringsFor(languages) {
  const known = (languages || []).map((tag) => String(tag).slice(0, 2).toLowerCase());
  const lang = known.find((tag) => LANGUAGES[tag]) || "en";
  return { lang, ...LANGUAGES[lang] };
}
