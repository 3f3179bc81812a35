"""Why a source says what it says: a few plain lines for the expert, in the language of the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from annoloop.project import Project
    from annoloop.rules.matcher import Match, Rules
    from annoloop.training.predict import Prediction
    from annoloop.types import Annotation, LabelScheme

Language = Literal["en", "de"]
LONGEST = 500
"""Characters of a reason."""
_QUOTE, _PATTERN, _LINE = 60, 120, 200
_MORE_ROOM = 40

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "quote": "“{said}”",
        "pattern": "{quote} {label}: pattern {number}: {shown}",
        "no_pattern": "no pattern matches",
        "model": "round {number}, recipe {recipe}",
        "next": "next: {label} {score:.2f}",
        "not_found": "not found in the text: {quotes}",
        "overlap": "left out because it overlaps another: {quotes}",
        "more": "… and {count} more",
        "vote": "{who}: {said}",
        "nothing": "nothing",
        "not_read": "has not read the text",
    },
    "de": {
        "quote": "„{said}“",
        "pattern": "{quote} {label}: Muster {number}: {shown}",
        "no_pattern": "kein Muster passt",
        "model": "Runde {number}, Rezept {recipe}",
        "next": "danach: {label} {score:.2f}",
        "not_found": "nicht im Text gefunden: {quotes}",
        "overlap": "weggelassen, weil es sich mit anderem überschneidet: {quotes}",
        "more": "… und {count} weitere",
        "vote": "{who}: {said}",
        "nothing": "nichts",
        "not_read": "hat den Text nicht gelesen",
    },
}


def language_of(project: Project) -> Language:
    """The language of reasons: that of the page where it is set, else that of the texts, as far as known."""
    page, texts = project.settings.review.language, project.settings.project.lang
    return page or ("de" if texts == "de" else "en")


def of_rules(rules: Rules, text: str, matches: Iterable[Match], language: Language) -> str:
    """Which patterns stand behind the annotation: a line a place, or for categories a pattern."""
    words = WORDS[language]
    lines: dict[tuple[int, str], str] = {}
    for match in matches:
        quote = _clip(text[match.start : match.end], _QUOTE)
        key = (match.pattern, quote if rules.scheme.has_spans else "")
        if match.used and key not in lines:
            shown = _clip(rules.patterns[match.pattern].shown, _PATTERN)
            lines[key] = words["pattern"].format(
                quote=words["quote"].format(said=quote),
                label=match.label,
                number=match.pattern + 1,
                shown=shown,
            )
    return _joined(list(lines.values()), words) or words["no_pattern"]


def of_model(
    prediction: Prediction, scheme: LabelScheme, *, number: int, recipe: str, language: Language
) -> str:
    """Round and recipe, and for categories the likeliest of those not chosen with its probability."""
    words = WORDS[language]
    lines = [words["model"].format(number=number, recipe=recipe)]
    pairs = zip(scheme.labels, prediction.probabilities, strict=False)
    others = [(score, label) for label, score in pairs if label not in prediction.annotation.labels]
    if others:
        score, label = max(others, key=lambda pair: pair[0])
        lines.append(words["next"].format(label=_clip(label, _QUOTE), score=score))
    return _joined(lines, words)


def of_llm(text: str, detail: Mapping[str, Any], language: Language) -> str:
    """The LLM's own reason where it gave one, and what it said that has no place in the annotation."""
    from annoloop.llm.align import find

    words = WORDS[language]
    quotes = unplaced_of(detail)
    there = {quote: bool(find(text, quote)[0]) for quote in quotes}
    notes = []
    for key, found in (("not_found", False), ("overlap", True)):
        named = [
            words["quote"].format(said=_clip(quote, _QUOTE)) for quote in quotes if there[quote] == found
        ]
        if named:
            notes.append(_clip(words[key].format(quotes=", ".join(named)), _LINE))
    # What cannot be seen in the text is told before what the LLM says about the rest is cut.
    room = LONGEST - sum(len(note) + 1 for note in notes)
    own = str(detail.get("reason") or "").splitlines()
    return "\n".join(line for line in (_joined(own, words, room=room), *notes) if line)


def unplaced_of(detail: Mapping[str, Any]) -> tuple[str, ...]:
    """The quotes of an LLM that found no place of their own in the text: each once, as it gave them."""
    return tuple(dict.fromkeys(str(quote) for quote in detail.get("unaligned") or ()))


def is_doubtful(detail: Mapping[str, Any]) -> bool:
    """Whether a place in what an LLM said is a guess, or something of it found none."""
    return bool(detail.get("ambiguous") or detail.get("unaligned"))


def of_votes(text: str, votes: Sequence[tuple[str, Annotation | None]], language: Language) -> str:
    """Who said what: a line a voter; its annotation is None where it has not read the text."""
    words = WORDS[language]
    lines = []
    for who, annotation in votes:
        if annotation is None:
            said = words["not_read"]
        else:
            quotes = [(_clip(text[s.start : s.end], _QUOTE), s.label) for s in annotation.spans]
            shown = [f"{words['quote'].format(said=quote)} {label}" for quote, label in quotes]
            said = ", ".join([*annotation.labels, *shown]) or words["nothing"]
        lines.append(words["vote"].format(who=_clip(who, _QUOTE), said=said))
    return _joined(lines, words)


def honest_score(value: Any) -> float | None:
    """A score from 0 to 1, None where it is none."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value) if 0 <= value <= 1 else None


def _joined(lines: Sequence[str], words: Mapping[str, str], *, room: int = LONGEST) -> str:
    """As many lines as there is room for, the first one at least, and how many were left out."""
    kept: list[str] = []
    for place, line in enumerate(lines):
        left = room - sum(len(one) + 1 for one in kept)
        left -= _MORE_ROOM if place + 1 < len(lines) else 0
        line = _clip(line, _LINE if kept else min(_LINE, left))
        if len(line) > left:
            return "\n".join([*kept, words["more"].format(count=len(lines) - place)])
        kept.append(line)
    return "\n".join(kept)


def _clip(said: str, most: int) -> str:
    """Text on one line, cut at the end."""
    line = " ".join(said.split())
    return line if len(line) <= most else line[: most - 1] + "…"
