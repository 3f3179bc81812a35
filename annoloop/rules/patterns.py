"""The lines of `patterns.jsonl`, in the format of spaCy's EntityRuler and of Prodigy, and what ours add.

A line is an object with "label", an optional "id", and one of

- `"pattern": [{"lower": "ann"}, {"lower": "taylor"}]`: token pattern;
- `"pattern": "Ann Taylor"`: phrase;
- `"phrases": ["Ann Taylor", "Topshop"]`, or `"phrases": "brands.txt"`: a file beside, one phrase a line;
- `"regex": "\\d+ ?€"`: regular expression on the text; a match is widened to whole tokens.

Options: "attr": "LOWER" (phrases in any case); "fuzzy": 1 to 9 (phrases with so many edits a word, at most
one for every four characters); "flags": "i", "m", "s", "x" (of a regex); "score": above 0 to 1 (of a
category: what a match counts for); "negative": true (a match speaks against the label); "priority": an
integer (which pattern wins, before length and score).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from annoloop.corpus.tokenizer import shared_blank
from annoloop.errors import FormatError
from annoloop.rules.regexes import ADVICE, examine, regexes_of
from annoloop.types import LabelScheme

if TYPE_CHECKING:
    from spacy.language import Language

PatternKind = Literal["pattern", "phrases", "regex"]
KINDS: tuple[PatternKind, ...] = ("pattern", "phrases", "regex")
HINT = "the format is spaCy's EntityRuler patterns, or phrases or regex in place of pattern"

_SHOWN = 20
_SHOWN_PHRASES = 5
# A blank pipeline sets none of these: such a pattern would raise, or never match without a word.
_NEEDS_MODEL = {"POS", "TAG", "MORPH", "LEMMA", "DEP", "SENT_START", "_"}
_NEEDS_MODEL |= {"ENT_TYPE", "ENT_IOB", "ENT_ID", "ENT_KB_ID"}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of the file: what to match and what it stands for; the module says what the options mean.

    `match` is token dicts or a phrase (kind "pattern"), phrases, or a regular expression. `line` counts
    from 1; None where the pattern comes from no file.
    """

    label: str
    match: tuple[Mapping[str, Any], ...] | tuple[str, ...] | str
    id: str | None = None
    line: int | None = field(default=None, compare=False)
    kind: PatternKind = "pattern"
    attr: Literal["ORTH", "LOWER"] = "ORTH"
    fuzzy: int = 0
    flags: str = ""
    score: float = 1.0
    negative: bool = False
    priority: int = 0

    @property
    def shown(self) -> str:
        """What is matched, on one line: `"Ann Taylor"`, `{"lower": "ann"} {"lower": "taylor"}`, `/€$/i`."""
        if self.kind == "regex":
            return f"/{self.match}/{self.flags}"
        parts = [self.match] if isinstance(self.match, str) else list(self.match)
        more = [f"… and {len(parts) - _SHOWN_PHRASES} more"] if self.kind == "phrases" else []
        if not more or len(parts) <= _SHOWN_PHRASES:
            return " ".join(json.dumps(part, ensure_ascii=False) for part in parts)
        return " ".join([*(json.dumps(part, ensure_ascii=False) for part in parts[:_SHOWN_PHRASES]), *more])

    @property
    def options(self) -> dict[str, Any]:
        """The options that differ from their defaults, by their keys in the file."""
        return {
            name: getattr(self, name) for name, default in _DEFAULTS.items() if getattr(self, name) != default
        }

    @property
    def row(self) -> dict[str, Any]:
        """The line as a dict that needs no file beside it; `pattern_matcher.py` reads it."""
        match = self.match if isinstance(self.match, str) else list(self.match)
        named = {} if self.id is None else {"id": self.id}
        return {"label": self.label, self.kind: match, **named, **self.options}

    @property
    def proven(self) -> bool:
        """Whether its regular expressions, if any, are known to take a bounded time a character."""
        if self.kind == "regex":
            from annoloop.rules.pattern_matcher import regex_flags

            return examine(str(self.match), regex_flags(self.flags)).proven
        return all(examine(regex).proven for regex in regexes_of(self.match))


_DEFAULTS: dict[str, Any] = {
    "attr": "ORTH",
    "fuzzy": 0,
    "flags": "",
    "score": 1.0,
    "negative": False,
    "priority": 0,
}
_KEYS = ("label", "id", *KINDS, *_DEFAULTS)


class _Wrong(Exception):  # noqa: N818  (it never leaves this module)
    """What is wrong with a line: "field: what, what to do"."""


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a line is checked by: the scheme, a blank pipeline, and where lists of phrases lie."""

    scheme: LabelScheme
    nlp: Language
    folder: Path | None


def read_pattern(line: str, *, scheme: LabelScheme, lang: str, folder: Path | None = None) -> Pattern:
    """Check one line of a file of patterns, such as one that somebody tries out.

    `folder` is where the names of lists of phrases lead from.

    Raises:
        FormatError: it is no pattern of this scheme; the message names the field and what is wrong with it.
    """
    try:
        return _parse(line, _Ground(scheme, shared_blank(lang), folder))
    except _Wrong as error:
        raise FormatError(str(error), hint=HINT) from None


def read_patterns(
    lines: str, *, scheme: LabelScheme, lang: str, folder: Path | None = None, name: str = "line "
) -> tuple[Pattern, ...]:
    """Check the text of a file of patterns; blank lines count but hold nothing.

    Raises:
        FormatError: lines are wrong; the message names every one as `name` and its number, with the field
            and what is wrong with it.
    """
    ground = _Ground(scheme, shared_blank(lang), folder)
    patterns: list[Pattern] = []
    wrong: list[str] = []
    for number, line in enumerate(lines.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            patterns.append(replace(_parse(line, ground), line=number))
        except _Wrong as error:
            wrong.append(f"{name}{number}: {error}")
    if wrong:
        more = [f"… and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        raise FormatError("\n".join([*wrong[:_SHOWN], *more]), hint=f"mend or remove these lines; {HINT}")
    return tuple(patterns)


def _parse(line: str, ground: _Ground) -> Pattern:
    row = _object(line)
    label, name = row.get("label"), row.get("id")
    if not isinstance(label, str):
        raise _Wrong("label: missing or not a string")
    if label not in ground.scheme.labels:
        known = ", ".join(ground.scheme.labels)
        raise _Wrong(f"label: {label!r} is not in the project; known labels: {known}")
    if name is not None and not isinstance(name, str):
        raise _Wrong("id: not a string")
    given = [kind for kind in KINDS if kind in row]
    if not given:
        raise _Wrong('pattern: missing; a line has one of "pattern", "phrases", "regex"')
    if len(given) > 1:
        raise _Wrong(f"{given[1]}: beside {given[0]}; a line has one of them")
    made = Pattern(label, "", name, kind=given[0], **_options(row, ground.scheme))
    return replace(made, match=_READERS[given[0]](row[given[0]], made, ground))


def _object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise _Wrong(f"not JSON at column {error.colno} ({error.msg}); one object a line") from None
    if not isinstance(row, dict):
        raise _Wrong("not a JSON object; a line needs label and pattern")
    try:
        json.dumps(row, ensure_ascii=False).encode("utf8")
    except UnicodeEncodeError:
        raise _Wrong("half of a pair of surrogates, which is no character; write both or none") from None
    for key in row:
        if key not in _KEYS:
            near = get_close_matches(key.lower(), _KEYS, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(_KEYS)}"
            raise _Wrong(f"{key}: no such key of a pattern; {advice}")
    return row


def _options(row: Mapping[str, Any], scheme: LabelScheme) -> dict[str, Any]:
    """The options of a row that are given, checked: each only where it means something."""
    given = {name: row[name] for name in _DEFAULTS if name in row}
    words = "phrases" in row or isinstance(row.get("pattern"), str)
    of: dict[str, tuple[bool, str, Callable[[Any], bool], str]] = {
        "attr": (words, "phrases", lambda v: v in ("ORTH", "LOWER"), '"ORTH" or "LOWER"'),
        "fuzzy": (words, "phrases", lambda v: _is_int(v) and 1 <= v <= 9, "a whole number from 1 to 9"),
        "flags": ("regex" in row, "a regex", _are_flags, "some of the letters a, i, m, s, x"),
        "score": (not scheme.has_spans, "categories", _is_share, "a number above 0, up to 1"),
        "negative": (True, "", lambda v: isinstance(v, bool), "true or false"),
        "priority": (scheme.kind in ("ner", "textcat"), "kinds ner and textcat", _is_int, "a whole number"),
    }
    for name, value in given.items():
        fits, where, right, wanted = of[name]
        if not fits:
            raise _Wrong(f"{name}: an option of {where} only")
        if not right(value):
            raise _Wrong(f"{name}: {value!r} is not {wanted}")
    if given.get("negative") and {"score", "priority"} & given.keys():
        raise _Wrong("negative: such a pattern bars its label and has neither score nor priority")
    if "fuzzy" in given and "attr" in given:
        raise _Wrong("attr: a fuzzy phrase is matched in any case")
    return given


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1


def _are_flags(value: Any) -> bool:
    return isinstance(value, str) and len(set(value)) == len(value) and set(value) <= set("aimsx")


def _read_pattern(match: Any, _made: Pattern, ground: _Ground) -> str | tuple[Mapping[str, Any], ...]:
    if isinstance(match, str):
        if not match.strip():
            raise _Wrong("pattern: the phrase is empty")
        return match
    if not isinstance(match, list):
        raise _Wrong("pattern: missing, or neither a phrase nor a list of tokens")
    problem = _token_problem(match, ground.nlp)
    if problem:
        raise _Wrong(f"pattern: {problem}")
    for regex in regexes_of(match):
        _check_time("pattern", regex, 0)
    return tuple(match)


def _token_problem(match: list[Any], nlp: Language) -> str:
    """What spaCy's Matcher would say against this token pattern; empty where it is fine."""
    from spacy.matcher import Matcher
    from spacy.schemas import validate_token_pattern

    if not match:
        return "the list of tokens is empty"
    found = validate_token_pattern(match)
    if found:
        return "; ".join(dict.fromkeys(found))
    for token in match:
        needed = sorted(_NEEDS_MODEL & {str(key).upper() for key in token})
        if needed:
            return f"{needed[0]} needs a trained pipeline; rules run on a blank one: use LOWER, TEXT, SHAPE …"
    try:
        # A wrong regular expression, for example, passes the schema and shows only in use.
        trial = Matcher(nlp.vocab)
        trial.add("0", [match])
        trial(nlp.tokenizer("a b c"))
    except Exception as error:
        return str(error).strip().replace("\n", " ")
    return ""


def _read_phrases(match: Any, _made: Pattern, ground: _Ground) -> tuple[str, ...]:
    if isinstance(match, str):
        match = _phrase_file(match, ground.folder)
    if not isinstance(match, list) or not all(isinstance(phrase, str) for phrase in match):
        raise _Wrong("phrases: neither a list of phrases nor the name of a file")
    if not match:
        raise _Wrong("phrases: there is not one")
    for number, phrase in enumerate(match, start=1):
        if not phrase.strip():
            raise _Wrong(f"phrases: phrase {number} is empty")
    return tuple(dict.fromkeys(match))


def _phrase_file(name: str, folder: Path | None) -> list[str]:
    if folder is None:
        raise _Wrong(f"phrases: {name!r} names a file, which can only be read beside a file of patterns")
    path = folder / name
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise _Wrong(f"phrases: {path} is not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise _Wrong(f"phrases: {path} cannot be read: {error.strerror}") from None
    return [line.strip() for line in lines if line.strip()]


def _read_regex(match: Any, made: Pattern, _ground: _Ground) -> str:
    from annoloop.rules.pattern_matcher import regex_flags

    if not isinstance(match, str) or not match:
        raise _Wrong("regex: not a string, or an empty one")
    flags = regex_flags(made.flags)
    try:
        re.compile(match, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise _Wrong(f"regex: {error}") from None
    _check_time("regex", match, flags)
    return match


def _check_time(name: str, regex: str, flags: int) -> None:
    problem = examine(regex, flags).problem
    if problem:
        raise _Wrong(f"{name}: {regex!r} can take for ever: {problem}; {ADVICE}")


_READERS: dict[PatternKind, Callable[[Any, Pattern, _Ground], Any]] = {
    "pattern": _read_pattern,
    "phrases": _read_phrases,
    "regex": _read_regex,
}
