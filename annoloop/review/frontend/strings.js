// Every word that the page says, in the browser's language. Values with arguments are functions.

const en = {
  progress: (done, all) => `${done} of ${all} done`,
  batch: "in this batch",
  saved: "All saved",
  unsaved: (n) => `${n} not saved yet`,
  offline: (n) => (n ? `Offline: ${n} kept in this browser` : "Offline"),
  stale: (n) => (n ? `Reload the page: ${n} kept in this browser` : "Reload the page"),
  failed: (n, why) => `${n} not saved: ${why}`,
  refused: (n, why) => `${n} ${n === 1 ? "answer was" : "answers were"} not taken: ${why}`,
  dismiss: "Dismiss",
  accept: "Accept",
  reject: "Reject",
  ignore: "Skip",
  undo: "Undo",
  help: "Help",
  close: "Close",
  labels: "Labels",
  choices: "Categories",
  suggestedBy: (source) => `Suggested by ${source}`,
  suggestedNothing: (source) => `${source} found nothing to mark here`,
  noSuggestion: "No suggestion for this text.",
  blind: {
    held_out: "Shown without a suggestion on purpose: this text will judge the model, so your own view must come first.",
    dev: "Shown without a suggestion on purpose: this text helps to choose between models, so your own view must come first.",
  },
  undone: "Taken back. Decide again.",
  nothingToUndo: "There is nothing to take back.",
  chooseFirst: "Choose a category first, or skip the text with the space bar.",
  unsafe: "This browser keeps nothing: leave the page open until all is saved.",
  hintSpans: "Drag across words to mark them, or click a word. Click a mark to remove it.",
  hintChoices: "Press a key or click to choose, then accept.",
  loading: "Fetching texts …",
  remove: (label) => `Remove ${label}`,
  allDone: "All done",
  allDoneHere: (n) => (n === 1 ? "You have decided on 1 text here." : `You have decided on ${n} texts here.`),
  allDoneNext: "What is next: let the loop train on your answers and choose the next texts.",
  goesOn: "New texts appear here by themselves.",
  othersTitle: "Nothing to do for you right now",
  others: (n) =>
    n === 1
      ? "The last open text is on somebody else's screen. It comes here if it stays unanswered for ten minutes."
      : `The last ${n} open texts are on somebody else's screen. They come here if they stay unanswered for ten minutes.`,
  emptyTitle: "No questions yet",
  emptyTexts: "This project has no texts yet. Add some:",
  emptyTasks: "The texts are there. The loop chooses which to label first:",
  copy: "Copy",
  copied: "Copied",
  helpTitle: "Keys",
  helpRows: {
    labelsSpan: "choose the label that you mark with",
    labelsChoice: "choose a category",
    accept: "right as it is on the screen",
    reject: "wrong: do not learn from it as it is",
    ignore: "cannot say, or not worth it",
    undo: "take the last decision back, as often as you like",
    save: "save now (happens by itself)",
    help: "open or close this sheet",
  },
  keyNames: { space: "space", backspace: "⌫", save: "Ctrl/⌘ S" },
};

const de = {
  ...en,
  progress: (done, all) => `${done} von ${all} fertig`,
  batch: "in dieser Runde",
  saved: "Alles gespeichert",
  unsaved: (n) => `${n} noch nicht gespeichert`,
  offline: (n) => (n ? `Offline: ${n} in diesem Browser aufgehoben` : "Offline"),
  stale: (n) => (n ? `Bitte neu laden: ${n} in diesem Browser aufgehoben` : "Bitte die Seite neu laden"),
  failed: (n, why) => `${n} nicht gespeichert: ${why}`,
  refused: (n, why) => `${n} ${n === 1 ? "Antwort" : "Antworten"} nicht angenommen: ${why}`,
  dismiss: "Verstanden",
  accept: "Richtig",
  reject: "Falsch",
  ignore: "Auslassen",
  undo: "Zurück",
  help: "Hilfe",
  close: "Schließen",
  labels: "Labels",
  choices: "Kategorien",
  suggestedBy: (source) => `Vorschlag von ${source}`,
  suggestedNothing: (source) => `${source} hat hier nichts gefunden`,
  noSuggestion: "Kein Vorschlag zu diesem Text.",
  blind: {
    held_out: "Mit Absicht ohne Vorschlag: An diesem Text wird das Modell gemessen, darum zählt zuerst Ihr eigener Blick.",
    dev: "Mit Absicht ohne Vorschlag: Dieser Text hilft, zwischen Modellen zu wählen, darum zählt zuerst Ihr eigener Blick.",
  },
  undone: "Zurückgenommen. Bitte neu entscheiden.",
  nothingToUndo: "Es gibt nichts zurückzunehmen.",
  chooseFirst: "Bitte erst eine Kategorie wählen, oder den Text mit der Leertaste auslassen.",
  unsafe: "Dieser Browser hebt nichts auf: Bitte die Seite offen lassen, bis alles gespeichert ist.",
  hintSpans: "Über Wörter ziehen, um sie zu markieren, oder ein Wort anklicken. Eine Markierung anklicken, um sie zu entfernen.",
  hintChoices: "Mit Taste oder Klick wählen, dann bestätigen.",
  loading: "Texte werden geholt …",
  remove: (label) => `${label} entfernen`,
  allDone: "Alles fertig",
  allDoneHere: (n) => (n === 1 ? "Sie haben hier über 1 Text entschieden." : `Sie haben hier über ${n} Texte entschieden.`),
  allDoneNext: "Wie es weitergeht: Die Schleife lernt aus Ihren Antworten und wählt die nächsten Texte.",
  goesOn: "Neue Texte erscheinen hier von selbst.",
  othersTitle: "Gerade nichts für Sie zu tun",
  others: (n) =>
    n === 1
      ? "Der letzte offene Text liegt auf einem anderen Bildschirm. Bleibt er zehn Minuten ohne Antwort, kommt er hierher."
      : `Die letzten ${n} offenen Texte liegen auf anderen Bildschirmen. Bleiben sie zehn Minuten ohne Antwort, kommen sie hierher.`,
  emptyTitle: "Noch keine Fragen",
  emptyTexts: "Dieses Projekt hat noch keine Texte. So kommen welche hinein:",
  emptyTasks: "Die Texte sind da. Die Schleife wählt, welche zuerst dran sind:",
  copy: "Kopieren",
  copied: "Kopiert",
  helpTitle: "Tasten",
  helpRows: {
    labelsSpan: "Label wählen, mit dem markiert wird",
    labelsChoice: "Kategorie wählen",
    accept: "richtig, so wie es auf dem Bildschirm steht",
    reject: "falsch: so nicht daraus lernen",
    ignore: "nicht zu entscheiden",
    undo: "letzte Entscheidung zurücknehmen, beliebig oft",
    save: "jetzt speichern (geschieht auch von selbst)",
    help: "diese Hilfe öffnen oder schließen",
  },
  keyNames: { space: "Leertaste", backspace: "⌫", save: "Strg/⌘ S" },
};

export const LANGUAGES = { en, de };

/** The strings for the first of the browser's languages that there is, else English. */
export function stringsFor(languages) {
  for (const tag of languages || []) {
    const found = LANGUAGES[String(tag).slice(0, 2).toLowerCase()];
    if (found) return { lang: String(tag).slice(0, 2).toLowerCase(), ...found };
  }
  return { lang: "en", ...en };
}
