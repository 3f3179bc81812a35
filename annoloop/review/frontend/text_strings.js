// The few words that the text pane itself shows or says to a screen reader.

const en = {
  text: "Text",
  word: (word, labels) => (labels.length ? `${word}, ${labels.join(", ")}` : word),
  selected: (text) => `Selected: ${text}`,
  nothing: "Nothing selected",
  marked: (label, text) => `${label}: ${text}, marked`,
  removed: (label, text) => `${label}: ${text}, removed`,
  changed: (label, text) => `${label}: ${text}, changed`,
  chosen: (label, text) => `${label}: ${text}, chosen`,
  name: (label, text) => `${label}: ${text}`,
  state: { "": "", added: "added", removed: "removed" },
  tools: "Chosen mark",
  remove: (label) => `Remove ${label}`,
  markToo: (word) => `Mark \u201c${word}\u201d too`,
  characters: "Selecting characters",
  words: "Selecting words",
  part: (n, all) => `Part ${n} of ${all}`,
  done: "done",
  open: "open",
  now: "to do now",
};

const de = {
  text: "Text",
  word: en.word,
  selected: (text) => `Ausgewählt: ${text}`,
  nothing: "Nichts ausgewählt",
  marked: (label, text) => `${label}: ${text}, markiert`,
  removed: (label, text) => `${label}: ${text}, entfernt`,
  changed: (label, text) => `${label}: ${text}, geändert`,
  chosen: (label, text) => `${label}: ${text}, gewählt`,
  name: en.name,
  state: { "": "", added: "neu", removed: "entfernt" },
  tools: "Gewählte Markierung",
  remove: (label) => `${label} entfernen`,
  markToo: (word) => `Auch \u201e${word}\u201c markieren`,
  characters: "Zeichen werden ausgewählt",
  words: "Wörter werden ausgewählt",
  part: (n, all) => `Teil ${n} von ${all}`,
  done: "fertig",
  open: "offen",
  now: "jetzt dran",
};

/** The pane's words by language; English where there are none. */
export const paneStrings = (lang) => (lang === "de" ? de : en);
