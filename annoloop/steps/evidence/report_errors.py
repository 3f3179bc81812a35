"""What the report says of mistakes: kinds, confusions, weak parts, the hardest texts, what got worse."""

from __future__ import annotations

from collections.abc import Mapping

from annoloop.evaluation.errors import (
    KINDS,
    ErrorAnalysis,
    Mistake,
    MistakeKind,
    Regressions,
    WrongText,
    analyse,
    regressions,
    slices,
)
from annoloop.evaluation.leaderboard import headline
from annoloop.evaluation.report import (
    LONGEST_QUOTE,
    Block,
    Paragraph,
    Quote,
    Section,
    Table,
    isolated,
    shortened,
    shown_part,
)
from annoloop.project import Project
from annoloop.steps.compare import Approach, ApproachName, Compared, Comparison, compare
from annoloop.steps.sources import model_key
from annoloop.types import Annotation, DevGold, Gold, Span

SHOWN_TEXTS = 10
SHOWN_WORSE = 5
SHOWN_PAIRS = 12
FEWEST_IN_SLICE = 10
"""A part of fewer texts is not shown: its score says little."""

_WHO: tuple[ApproachName, ...] = ("model", "rules", "llm")
_IN_WORDS: Mapping[MistakeKind, str] = {
    "type": "another label",
    "boundary": "other borders",
    "partial": "other label and borders",
    "missed": "missed",
    "spurious": "too much",
}


def errors_section(project: Project, *, newer: bool = False) -> tuple[Section | None, frozenset[str]]:
    """The mistakes on dev of the model, else of the rules, else of the LLM; and the texts quoted, by hash.

    The model is the newest, as it was before it learned from the dev texts; `newer` says that it is not the
    one that was judged. None where nobody has read any.
    """
    comparison = compare(project)
    found = next((a for who in _WHO for a in comparison.approaches if a.approach == who and a.scores), None)
    if found is None:
        return None, frozenset()
    read = [text for text in comparison.texts if found.approach in text.said]
    analysis = _analysis(comparison, found.approach, read)
    worse = _regressions(project)
    blocks = [Paragraph(_told(found, analysis, newer=newer)), *_counts(project, analysis)]
    blocks += _slices(project, found.approach, read)
    hardest = [_quote(project, text) for text in analysis.texts[:SHOWN_TEXTS]]
    if hardest:
        told = f"The hardest texts first, {len(hardest)} of {len(analysis.texts)}."
        marked = " Underlined is what is true, shaded what was said." if project.scheme.has_spans else ""
        blocks.append(Paragraph(told + marked))
    blocks += hardest
    quoted = {text.example.input_hash for text in analysis.texts[:SHOWN_TEXTS]}
    if worse is not None:
        blocks += _worse(project, worse)
        quoted |= {one.example.input_hash for one in worse.worse[:SHOWN_WORSE]}
    return Section("Mistakes", tuple(blocks)), frozenset(quoted)


def _told(who: Approach, analysis: ErrorAnalysis, *, newer: bool) -> str:
    read, wrong = analysis.read, len(analysis.texts)
    model = " (newer than what was judged)" if newer and who.approach == "model" else ""
    return (
        f"{isolated(who.name)}{model} on dev: {read - wrong:,} of {read:,} texts are right, "
        f"{wrong:,} are not. Held-out texts are never shown."
    )


def _analysis(comparison: Comparison, approach: ApproachName, read: list[Compared]) -> ErrorAnalysis:
    said = {who: _annotations(comparison, who) for who in _WHO}
    sure = {text.example.input_hash: text.said[approach].confidence for text in read}
    others = [of for who, of in said.items() if who != approach and of]
    return analyse(comparison.scheme, _gold(read), said[approach], confidence=sure, others=others)


def _annotations(comparison: Comparison, who: ApproachName) -> dict[str, Annotation]:
    return {t.example.input_hash: t.said[who].annotation for t in comparison.texts if who in t.said}


def _gold(read: list[Compared]) -> DevGold:
    return DevGold(tuple(Gold(text.example, text.gold) for text in read))


def _counts(project: Project, analysis: ErrorAnalysis) -> list[Block]:
    kinds = [kind for kind in KINDS if analysis.kinds[kind]]
    if not kinds:
        return []
    per_label = sorted(analysis.per_label.items(), key=lambda item: -sum(item[1].values()))
    rows = tuple((label, *(str(of[kind]) for kind in kinds)) for label, of in per_label)
    total = ("all", *(str(analysis.kinds[kind]) for kind in kinds))
    blocks: list[Block] = [Table(("label", *(_IN_WORDS[kind] for kind in kinds)), (total, *rows))]
    pairs = [(pair, times) for pair, times in analysis.confusion.items() if pair[0] != pair[1]]
    # A text of several categories may have others beside the one that is missing.
    nothing = "nothing else" if project.scheme.kind == "textcat_multilabel" else "nothing"
    confused = tuple((truth or nothing, said or nothing, str(times)) for (truth, said), times in pairs)
    if confused and len(project.scheme.labels) > 1:
        table = Table(("true", "said", "times"), confused[:SHOWN_PAIRS], "What is taken for what", 2)
        blocks.append(table)
    return blocks


def _slices(project: Project, approach: ApproachName, read: list[Compared]) -> list[Block]:
    settings = project.settings
    said = {text.example.input_hash: text.said[approach].annotation for text in read}
    parts = slices(project.scheme, _gold(read), said, lang=settings.project.lang, seed=settings.training.seed)
    rows = tuple(
        (
            f"{part.dimension}: {part.name}",
            f"{part.texts:,}",
            "–" if part.score is None else f"{part.score:.3f}",
            "–" if part.interval is None else f"{part.interval[0]:.3f} to {part.interval[1]:.3f}",
            "behind" if part.behind else "–",
        )
        for part in parts
        if part.texts >= FEWEST_IN_SLICE and part.dimension != "label"
    )
    return [Table(("part", "texts", headline(project.scheme), "95 %", "against all"), rows)] if rows else []


def _quote(project: Project, text: WrongText) -> Quote:
    # What is cut is cut around the first mistake, not around what was right.
    wrong = (part for mistake in text.mistakes for part in (mistake.gold, mistake.said))
    spans = [part for part in wrong if isinstance(part, Span)]
    cut, start, end = shortened(text.example.text, spans, most=LONGEST_QUOTE)
    several = project.scheme.kind == "textcat_multilabel"
    lines = (
        of_several(text) if several else [_line(m, text.example.text) for m in text.mistakes[:SHOWN_TEXTS]]
    )
    if len(cut) < len(text.example.text):
        lines.append(shown_part(start, end, text.example.text))
    if text.also_wrong:
        err = "errs" if text.also_wrong == 1 else "err"
        lines.append(("others", f"{text.also_wrong} of the other approaches {err} here too"))
    return Quote(cut, within(text.gold, start, end), within(text.said, start, end), tuple(lines))


def of_several(text: WrongText) -> list[tuple[str, str]]:
    """All the categories of both sides: that one was missed does not say that nothing was said."""
    wrong = [(_IN_WORDS[m.kind], isolated(str(m.gold or m.said))) for m in text.mistakes[:SHOWN_TEXTS]]
    true, said = (", ".join(map(isolated, one.labels)) or "none" for one in (text.gold, text.said))
    return [*wrong, ("all", f"true: {true}; said: {said}")]


def within(annotation: Annotation, start: int, end: int) -> tuple[Span, ...]:
    """The spans of a part of a text, those that reach beyond it cut to it."""
    seen = (span for span in annotation.spans if span.start < end and start < span.end)
    return tuple(
        Span(max(span.start, start) - start, min(span.end, end) - start, span.label) for span in seen
    )


def _line(mistake: Mistake, text: str) -> tuple[str, str]:
    return _IN_WORDS[mistake.kind], f"true: {_named(mistake.gold, text)}; said: {_named(mistake.said, text)}"


def _named(part: Span | str | None, text: str) -> str:
    if isinstance(part, Span):
        return f"{isolated(part.label)} “{isolated(text[part.start : part.end][:80])}”"
    return isolated(part or "nothing")


def _regressions(project: Project) -> Regressions | None:
    """What the newest model gets wrong on dev that the one before had right; None without two models."""
    trained = [record for record in project.store.rounds() if record.model and record.fingerprint]
    if len(trained) < 2:
        return None
    gold = project.dev_gold()
    names = [item.example.input_hash for item in gold]
    before, after = (
        {
            name: found
            for name, (found, _) in project.predictions(
                f"{model_key(record.number, record.fingerprint)}:dev", hashes=names
            ).items()
            if found is not None
        }
        for record in trained[-2:]
    )
    return regressions(project.scheme, gold, before, after)


def _worse(project: Project, found: Regressions) -> list[Block]:
    if not found.read:
        return []
    told = (
        f"Against the model of the round before, of {found.read:,} texts that both read: {found.better:,} "
        f"got better, {len(found.worse):,} got worse"
    )
    blocks: list[Block] = [Paragraph(f"{told}{':' if found.worse else '.'}")]
    for one in found.worse[:SHOWN_WORSE]:
        text = WrongText(one.example, one.gold, one.after, one.new)
        blocks.append(_quote(project, text))
    return blocks
