"""What errors and long work say, in the words of the page: its reader has buttons, not a command line."""

from __future__ import annotations

import re

from annoloop.errors import AnnoloopError
from annoloop.review.pages.frame import Lang

_COMMAND = re.compile(r"\bannoloop (?!process)\w|(?:^|\s)--\w|\bpip install\b")

# Where a hint names a command, what does the same on the page; the first that fits counts.
_PLACES = (
    (r"annoloop review", "label them on the page Label", "auf der Seite „Labeln“ labeln"),
    (
        r"annoloop (?:train|loop)",
        "prepare the next batch on Start",
        "unter „Start“ die nächste Runde beginnen",
    ),
    (r"annoloop add|--split", "add more texts on Texts", "unter „Texte“ weitere Texte hinzufügen"),
    (
        r"--yes",
        "agree to it on Start, or ask whoever runs this page",
        "unter „Start“ zustimmen, oder die Person fragen, die diese Seite betreibt",
    ),
    (r"--text-column|--label-column", "choose another column", "eine andere Spalte wählen"),
    (r"", "ask whoever runs this page", "die Person fragen, die diese Seite betreibt"),
)

_GERMAN = (
    (r"splitting the texts", "Die Texte werden aufgeteilt"),
    (r"saving the texts", "Die Texte werden gespeichert"),
    (r"reading (.+)", r"\1 wird gelesen"),
    (r"choosing the texts of round (\d+)", r"Die Texte für Runde \1 werden ausgewählt"),
    (r"rules reads?", "Die Regeln lesen"),
    (r"model of round (\d+) reads", r"Das Modell der Runde \1 liest"),
    (r"(.+) reads", r"\1 liest"),
    (r"training once more, on dev too", "Das Modell lernt noch einmal, auch aus den Texten zum Vergleichen"),
    (r"training (\S+): ([\d.]+) on dev, (\d+) s", r"Das Modell lernt (\1): \2 nach \3 s"),
    (r"training (\S+): (\d+) s", r"Das Modell lernt (\1), \2 s"),
    (r"rules are made of the gold", "Aus den beantworteten Texten werden Regeln gemacht"),
    (r"trained", "Das Modell hat gelernt"),
    (r"building the wheel", "Das Paket wird gebaut"),
    (r"waiting for answers", "Es wird auf Antworten gewartet"),
    (r"done", "Fertig."),
    (r"rules suffice: no model is needed", "Regeln genügen: Es braucht kein Modell."),
    (
        r"every text of the pool is answered: nothing more to learn from",
        "Alle Texte zum Lernen sind beantwortet: Mehr ist aus ihnen nicht zu lernen.",
    ),
    (r"no pattern matches", "kein Muster trifft"),
    (r"round (\d+), recipe (\S+)", r"Runde \1, Rezept \2"),
    (r".* is being worked on already", "Es läuft schon eine Arbeit an diesem Projekt"),
    (r"another annoloop process is working on .*", "Es läuft schon eine andere Arbeit an diesem Projekt"),
    (r"wait for it, or stop it", "abwarten oder anhalten"),
    (
        r"it ended without a word, as when the machine was switched off",
        "er endete ohne ein Wort, wie wenn der Rechner ausgeschaltet wird",
    ),
    (
        r"up to (\d+) texts \((\d+) characters(?:, about ([\d.]+) in money)?\) would be sent to (.+), "
        r"a public address \((.+)\), and nobody has agreed to that yet: nothing was sent",
        r"Bis zu \1 Texte (\2 Zeichen) gingen an \4, eine öffentliche Adresse (\5), und dem hat noch niemand "
        r"zugestimmt: Es wurde nichts gesendet",
    ),
    (r"(.+) holds no texts", r"\1 enthält keine Texte"),
    (
        r"is it the right file, and written to its end\?",
        "Ist es die richtige Datei, und ist sie vollständig?",
    ),
    (r"the text is empty", "Der Text ist leer"),
    (r"mend or remove these lines;.*", "diese Zeilen berichtigen oder entfernen"),
    (
        r"this text is not a pool text any more, so nothing was kept",
        "Dieser Text ist nicht mehr zum Lernen da, darum wurde nichts gespeichert",
    ),
    (r"go on with the next", "mit dem nächsten weitermachen"),
    (r"try again", "noch einmal versuchen"),
    (r"is the disk full\?", "Ist der Datenträger voll?"),
)


def told(error: AnnoloopError, lang: Lang) -> str:
    """An error in one line; what it advises to do is something that the page offers."""
    return told_words(error.message, error.hint, lang)


def told_words(message: str, hint: str, lang: Lang) -> str:
    """As `told`, of an error that was kept as its two texts."""
    advice = advised(hint, lang)
    message = in_words(message, lang)
    return f"{message} ({advice})" if advice else message


def advised(hint: str, lang: Lang) -> str:
    """A hint without commands."""
    if not _COMMAND.search(hint):
        return in_words(hint, lang)
    place = next(place for place in _PLACES if re.search(place[0], hint))
    return place[2 if lang == "de" else 1]


def in_words(said: str, lang: Lang) -> str:
    """What was said, in this language as far as it is known there; details stay as they are."""
    said = re.sub(r"\.? ?(?:Label them: )?annoloop \w+ \S+$", "", said)
    if lang == "de":
        for english, german in _GERMAN:
            if found := re.fullmatch(english, said):
                return found.expand(german)
    return said
