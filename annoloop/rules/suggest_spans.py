"""Lines for patterns.jsonl that labelled spans suggest. Each comes with the texts that speak for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from annoloop.corpus.tokenizer import shared_blank
from annoloop.types import Gold, LabelScheme

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

OWN_LINE = 4
"""Names in so many texts get a line of their own; rarer ones share one."""
_LONGEST = 6
_AND = ("&amp;", "&", "and")
_UPPER, _LOWER = "A-ZÀ-ÖØ-Þ", "a-zß-öø-ÿ"
_MOST_CONTEXTS = 300
_CAPITAL = re.compile(f"[{_UPPER}]")
_ONE = rf"\b[{_UPPER}][\w&;]*"
_RUN = rf"\b[{_UPPER}][\w&;]*(?: (?:&amp;|&|[{_UPPER}][\w&;]*))*"


@dataclass
class Idea:
    """What a line says besides its label, and the numbers of the texts that speak for it.

    `members` are the phrases of a list, each with its own texts; a list has no texts itself.
    """

    sort: str
    label: str
    fields: dict[str, Any]
    texts: set[int] = field(default_factory=set)
    members: dict[str, set[int]] = field(default_factory=dict)

    @property
    def name(self) -> tuple[str, ...]:
        """What the same idea from other texts is called too; of a list without its members."""
        fields = {key: value for key, value in self.fields.items() if not (self.members and key == "phrases")}
        return self.sort, self.label, json.dumps(fields)

    @property
    def listed(self) -> tuple[str, ...] | None:
        """What a name with a line of its own would be called in the list of its sort; None for others."""
        if self.members or self.sort not in ("spelling", "lower", "surface"):
            return None
        option = {key: value for key, value in self.fields.items() if key == "attr"}
        form = self.fields.get("pattern") or self.fields["phrases"][0]
        return self.sort, self.label, json.dumps(option), form


@dataclass(frozen=True, slots=True)
class _Marked:
    """A span of a text as tokens `start` to `end` (exclusive)."""

    doc: Doc
    start: int
    end: int
    label: str

    @property
    def words(self) -> str:
        return str(self.doc[self.start : self.end].text)


def span_ideas(gold: Sequence[Gold], *, scheme: LabelScheme, lang: str) -> list[Idea]:
    """Every line that a span suggests, with the texts in which one does."""
    nlp = shared_blank(lang)
    docs = [nlp.tokenizer(item.example.text) for item in gold]
    marked: list[list[_Marked]] = []
    for item, doc in zip(gold, docs, strict=True):
        tokens = ((span.label, doc.char_span(span.start, span.end)) for span in item.annotation.spans)
        marked.append([_Marked(doc, t.start, t.end, label) for label, t in tokens if t is not None])
    ideas: dict[str, Idea] = {}
    for number, spans in enumerate(marked):
        for span in spans:
            if span.end - span.start <= _LONGEST and span.words.strip():
                for sort, fields in _of_a_span(span):
                    key = repr((span.label, fields))
                    ideas.setdefault(key, Idea(sort, span.label, fields)).texts.add(number)
    contexts = [idea for idea in ideas.values() if idea.sort == "context"]
    contexts.sort(key=lambda idea: (-len(idea.texts), len(idea.fields["regex"])))
    lists = [*(one for label in scheme.labels for one in _lists(nlp, gold, docs, marked, label))]
    rest = [idea for idea in ideas.values() if idea.sort != "context"]
    return [*lists, *rest, *contexts[:_MOST_CONTEXTS]]


def _lists(
    nlp: Language, gold: Sequence[Gold], docs: Sequence[Doc], marked: Sequence[Sequence[_Marked]], label: str
) -> Iterator[Idea]:
    names: dict[str, set[int]] = {}
    for number, spans in enumerate(marked):
        for span in spans:
            if span.label == label and span.words.strip():
                names.setdefault(span.words, set()).add(number)
    if names:
        for idea in _name_lists(label, names):
            if idea.members:
                _leave_out(idea, _elsewhere(nlp, idea, gold, docs))
            if idea.members or idea.texts:
                yield idea
        yield from _exceptions(gold, docs, label)


def _leave_out(idea: Idea, against: Mapping[str, set[int]]) -> None:
    """Members that stand for something else in more texts than for the label."""
    idea.members = {
        words: texts for words, texts in idea.members.items() if len(texts) >= len(against.get(words, ()))
    }
    idea.fields = {**idea.fields, "phrases": sorted(idea.members)}


def _elsewhere(nlp: Language, idea: Idea, gold: Sequence[Gold], docs: Sequence[Doc]) -> dict[str, set[int]]:
    """The texts in which a member of a list stands outside every span of its label."""
    from spacy.matcher import PhraseMatcher

    vocab = nlp.vocab
    matcher = PhraseMatcher(vocab, attr=idea.fields.get("attr", "ORTH"))
    for member in idea.members:
        matcher.add(member, [nlp.tokenizer(member)])
    against: dict[str, set[int]] = {}
    for number, (item, doc) in enumerate(zip(gold, docs, strict=True)):
        spans = [span for span in item.annotation.spans if span.label == idea.label]
        for key, start, end in matcher(doc):
            first, last = doc[start].idx, doc[end - 1].idx + len(doc[end - 1])
            if not any(span.start < last and first < span.end for span in spans):
                against.setdefault(vocab.strings[key], set()).add(number)
    return against


def _name_lists(label: str, names: dict[str, set[int]]) -> Iterator[Idea]:
    """The names as they stand, in any case, and in other spellings: frequent ones alone, others together."""
    forms: tuple[tuple[str, Callable[[str], Sequence[str]], dict[str, str]], ...] = (
        ("spelling", spellings, {"attr": "LOWER"}),
        ("lower", lambda name: (name.lower(),), {"attr": "LOWER"}),
        ("surface", lambda name: (name,), {}),
    )
    for sort, written, option in forms:
        groups: dict[tuple[str, ...], set[int]] = {}
        for name, texts in names.items():
            groups.setdefault(tuple(written(name)), set()).update(texts)
        rare: dict[str, set[int]] = {}
        for group, texts in groups.items():
            if len(texts) < OWN_LINE:
                for form in group:
                    rare.setdefault(form, set()).update(texts)
            elif len(group) > 1 or sort != "spelling":
                how = {"pattern": group[0]} if len(group) == 1 else {"phrases": list(group)}
                yield Idea(sort, label, {**how, **option}, texts)
        if rare:
            yield Idea(sort, label, {"phrases": sorted(rare), **option}, members=rare)


def spellings(words: str) -> tuple[str, ...]:
    """The usual spellings of a name in lower case: with and without s or 's, &, dots and blanks; sorted.

    Every one of them leads to much the same list, so that spellings of one name meet in one pattern.
    """
    lower = words.lower().replace("’", "'").strip()
    lower = re.sub(r"\s+", " ", re.sub(r"\s*(?:&amp;|&)\s*", " & ", lower))
    lower = re.sub(r"\band\b", "&", lower)
    owned = re.search(r"(?:'s|s')$", lower) is not None
    stem = re.sub(r"(?:'s|s'|(?<=[^\W\d_]{4})(?<!s)s)$", "", lower)
    bare = re.sub(r"\s+", " ", stem.replace(".", "").replace("-", " ")).strip()
    if not bare:
        return (words.lower(),)
    stems = {stem, bare}
    if " " in bare and "&" not in bare and len(bare) > 4:
        stems |= {bare.replace(" ", "-"), bare.replace(" ", "")}
    if "&" in bare:
        tight = {one.replace(" & ", sign) for one in stems for sign in ("&amp;", "&")}
        stems = {one.replace("&", sign) for one in stems for sign in _AND} | tight
    forms = set(stems)
    if len(bare) > 3:
        # A possessive s stays outside, unless the name has one itself.
        endings = ("s", "'s", "’s") if owned else ("s",)
        forms |= {one + ending for one in stems for ending in endings if not one.endswith("s")}
    return tuple(sorted({form.strip() for form in forms} | {words.lower()}))


def _of_a_span(span: _Marked) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "shape", {"pattern": [{"SHAPE": token.shape_} for token in span.doc[span.start : span.end]]}
    word = span.doc[span.start].lower_
    if span.end - span.start == 1 and len(word) >= 6 and word.isalpha():
        for length in (3, 4):
            yield "affix", {"pattern": [{"LOWER": {"REGEX": f"^{word[:length]}"}}]}
            yield "affix", {"pattern": [{"LOWER": {"REGEX": f"{word[-length:]}$"}}]}
    if _CAPITAL.match(span.words):
        for regex in _contexts(span):
            yield "context", {"regex": regex}


def _contexts(span: _Marked) -> Iterator[str]:
    """Capitalised names between what stands around the span; what is matched is the name alone."""
    text = span.doc.text
    first = span.doc[span.start].idx
    last = span.doc[span.end - 1].idx + len(span.doc[span.end - 1])
    befores = dict.fromkeys(_befores(span, text, first))
    afters = dict.fromkeys(_afters(span, text, last))
    for slot in (_RUN, _ONE):
        for before in befores:
            for after in afters:
                if before or after:
                    yield f"{before}{slot}{after}"


def _befores(span: _Marked, text: str, first: int) -> Iterator[str]:
    """Look-behinds, from none to the two words before; of one width each, so blanks stay as they are."""
    yield ""
    if span.start == 0:
        yield "^"
        return
    for words in (1, 2):
        if span.start >= words:
            written = text[span.doc[span.start - words].idx : first]
            edge = r"\b" if written[:1].isalnum() else ""
            yield f"(?<={edge}{_any_case(written)})"
    yield f"(?<={_kinds(text[max(0, first - 3) : first])})"


def _kinds(written: str) -> str:
    """The signs before a name, letters by their kind: "n, " becomes "[a-z], "."""
    kept = ""
    for character in reversed(written):
        if character.isalpha():
            return (f"[{_UPPER}]" if _CAPITAL.match(character) else f"[{_LOWER}]") + kept
        kept = ("[0-9]" if character.isdigit() else _plain(character)) + kept
    return kept


def _afters(span: _Marked, text: str, last: int) -> Iterator[str]:
    """Look-aheads, from none to the two words after, and the kind of what follows."""
    stop = rf"(?![\w&;]| [{_UPPER}])"
    yield stop
    if span.end == len(span.doc):
        yield "$"
        return
    for words in (1, 2):
        if span.end + words <= len(span.doc):
            token = span.doc[span.end + words - 1]
            written = text[last : token.idx + len(token)]
            yield f"(?={_any_case(written)}" + (r"\b)" if written[-1:].isalnum() else ")")
    found = re.match(rf"[^\w]*(?:([{_UPPER}])|([{_LOWER}])|)", text[last:])
    if found and (found[1] or found[2]) and found.end() < 5:
        signs = "".join(_plain(c) for c in text[last : last + found.end() - 1])
        yield f"(?={signs}[{_UPPER if found[1] else _LOWER}])"


def _plain(character: str) -> str:
    return character if character in " ,;:!'\"&%/-_=<>@#~`’" else re.escape(character)


def _any_case(words: str) -> str:
    plain = "".join(_plain(character) for character in words.lower())
    return f"(?i:{plain})" if words.lower() != words.upper() else plain


def _exceptions(gold: Sequence[Gold], docs: Sequence[Doc], label: str) -> Iterator[Idea]:
    """Capitalised words and pairs of words that never belong to a span of the label: one list."""
    outside: dict[str, set[int]] = {}
    inside: set[str] = set()
    for number, (item, doc) in enumerate(zip(gold, docs, strict=True)):
        taken = [(span.start, span.end) for span in item.annotation.spans if span.label == label]
        for piece in _capitalised(doc):
            if any(start < piece.end_char and piece.start_char < end for start, end in taken):
                inside.add(piece.text)
            else:
                outside.setdefault(piece.text, set()).add(number)
    members = {words: texts for words, texts in outside.items() if words not in inside}
    if members and inside:
        yield Idea("exception", label, {"phrases": sorted(members), "negative": True}, members=members)


def _capitalised(doc: Doc) -> Iterable[Any]:
    for token in doc:
        if _CAPITAL.match(token.text):
            yield doc[token.i : token.i + 1]
            if token.i + 1 < len(doc) and _CAPITAL.match(doc[token.i + 1].text):
                yield doc[token.i : token.i + 2]
