"""Texts come in here: read, deduplicated, split by hash; labels only where the user calls them gold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from annoloop.corpus.read import BadRow, Row, read_rows
from annoloop.corpus.splits import SplitPlan, assign_splits
from annoloop.errors import AnnoloopError, FormatError
from annoloop.hashing import fraction, input_hash, task_hash
from annoloop.project import Project
from annoloop.steps.progress import OnProgress, silent
from annoloop.types import Annotation, Answer, Example, Split

IMPORT = "import"
FROZEN_FACT = "frozen"
SHOWN_BAD_ROWS = 10
_TELL_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class Added:
    """What one call of `add` did. `near` texts are kept out of learning: they are nearly held-out ones.

    `taken` are the answers that the labels became; `replaced` of them stand for others that the same
    annotators had given.
    """

    read: int
    new: int
    known: int
    moved: int
    near: int
    bad: tuple[BadRow, ...]
    counts: Mapping[Split, int]
    taken: tuple[Answer, ...] = ()
    replaced: int = 0

    @property
    def gold(self) -> int:
        """How many labelled texts were taken as gold."""
        return len(self.taken)

    @property
    def annotators(self) -> tuple[str, ...]:
        """Whose labels were taken, by name."""
        return tuple(sorted({answer.annotator for answer in self.taken}))

    @property
    def empty(self) -> int:
        """How many of them say that there is nothing to label."""
        return sum(answer.annotation == Annotation() for answer in self.taken)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the columns and lines of a file are understood."""

    text_column: str | None = None
    label_column: str | None = None
    one_text_per: Literal["line", "file"] = "line"


def add(
    project: Project,
    files: Sequence[Path],
    *,
    reading: Reading | None = None,
    split: Split | None = None,
    sample: int | None = None,
    gold: bool = False,
    blind: bool = False,
    skip_bad: bool = False,
    on_progress: OnProgress = silent,
) -> Added:
    """Add the texts of files, all or nothing.

    Args:
        split: put all texts here (a published test file); before round 1 only.
        sample: take only so many texts of the files, drawn by hash with the project's seed.
        gold: take the files' labels as answers of the annotator whom a row names, else of `import`.
        blind: assert that these labels were made without suggestions.
        skip_bad: leave bad rows out instead of refusing the files.

    Raises:
        FormatError: a file cannot be read, or has bad rows and `skip_bad` is False.
    """
    if blind and not gold:
        raise AnnoloopError("--blind says how labels were made, but none are taken", hint="add --gold")
    frozen = bool(project.store.fact(FROZEN_FACT))
    if frozen and split not in (None, "pool"):
        raise AnnoloopError(
            f"the splits of {project.folder} are frozen since round 1: nothing can be added to {split}",
            hint="start a new project for another held-out set",
        )
    rows, bad = _read(project, files, reading or Reading(), gold, on_progress)
    _refuse_bad(files, rows, () if skip_bad else bad, gold)
    rows = rows if sample is None else _sampled(rows, sample, project.settings.training.seed)
    texts = {input_hash(row.text): row for row in reversed(rows)}
    known = project.store.known_hashes(texts)
    on_progress("splitting the texts", 0, 0)
    # What moves may be near to what stays, as what is new may.
    placed = texts if split and not frozen else {h: row for h, row in texts.items() if h not in known}
    plan = _plan(project, placed, "pool" if frozen else split)
    near = {collision.input_hash: f"nearly the same as {collision.other}" for collision in plan.collisions}
    on_progress("saving the texts", 0, 0)
    fresh = ((n, row) for n, row in reversed(texts.items()) if n not in known)
    made = (Example(name, row.text, row.meta, plan.splits[name]) for name, row in fresh)
    new = project.store.add_examples(made, excluded=near)
    project.store.exclude_examples({n: why for n, why in near.items() if n in known or n not in texts})
    moved = project.store.move_examples(known, split) if split and not frozen else 0
    taken, replaced = _import_gold(project, rows, blind) if gold else ((), 0)
    counts = project.store.example_counts()
    return Added(len(rows), new, len(rows) - new, moved, len(near), tuple(bad), counts, taken, replaced)


def _read(
    project: Project, files: Sequence[Path], reading: Reading, gold: bool, on_progress: OnProgress
) -> tuple[list[Row], list[BadRow]]:
    rows: list[Row] = []
    bad: list[BadRow] = []
    for path in files:
        found = read_rows(
            path,
            scheme=project.scheme,
            text_column=reading.text_column,
            label_column=reading.label_column,
            one_text_per=reading.one_text_per,
            lang=project.settings.project.lang,
            labels=gold,
        )
        for row in found:
            if isinstance(row, BadRow):
                bad.append(row)
            else:
                rows.append(row)
            if (len(rows) + len(bad)) % _TELL_EVERY == 0:
                on_progress(f"reading {path.name}", len(rows) + len(bad), 0)
    return rows, bad


def _refuse_bad(files: Sequence[Path], rows: Sequence[Row], bad: Sequence[BadRow], gold: bool) -> None:
    if bad:
        hint = "mend them, or leave them out with --skip-bad; nothing was added"
        raise FormatError(_bad_message(bad), hint=hint)
    if gold and not any(_is_gold(row) for row in rows):
        named = ", ".join(str(path) for path in files)
        hint = (
            "leave --gold out to add the texts alone; for CSV name the --label-column; "
            "in .spacy spans that may overlap are in doc.spans['sc']"
        )
        raise FormatError(f"{named}: not one row has labels that could be gold", hint=hint)


def _sampled(rows: Sequence[Row], size: int, seed: int) -> list[Row]:
    drawn = sorted({input_hash(row.text) for row in rows}, key=lambda name: fraction(name, f"sample {seed}"))
    kept = set(drawn[:size])
    return [row for row in rows if input_hash(row.text) in kept]


def _bad_message(bad: Sequence[BadRow]) -> str:
    listed = [str(row) for row in bad[:SHOWN_BAD_ROWS]]
    if len(bad) > SHOWN_BAD_ROWS:
        listed.append(f"and {len(bad) - SHOWN_BAD_ROWS} more")
    return "\n".join([f"{len(bad)} row(s) cannot be taken:", *listed]) if len(bad) > 1 else listed[0]


def _plan(project: Project, placed: Mapping[str, Row], forced: Split | None) -> SplitPlan:
    corpus = project.settings.corpus
    others = (eg for eg in project.store.examples() if eg.input_hash not in placed) if placed else ()
    return assign_splits(
        [(name, row.text) for name, row in placed.items()],
        ((eg.input_hash, eg.text, eg.split) for eg in others),
        held_out=corpus.held_out,
        dev=corpus.dev,
        threshold=corpus.near_duplicate,
        forced=forced,
    )


def _is_gold(row: Row) -> bool:
    return row.annotation is not None and row.complete and row.verdict in (None, "accept")


def _import_gold(project: Project, rows: Sequence[Row], blind: bool) -> tuple[tuple[Answer, ...], int]:
    """Save the answers that are new; them, and how many replace others."""
    seq = project.store.answer_count() + 1
    answers: dict[tuple[str, str], Answer] = {}
    for row in rows:
        if row.annotation is not None and _is_gold(row):
            made = _answer(project, row, row.annotation, seq, blind)
            # Of two rows of one annotator about one text the first counts, as everywhere.
            answers.setdefault((made.input_hash, made.annotator), made)
    before = {
        (answer.input_hash, answer.annotator): (answer.annotation, answer.blind)
        for answer in project.store.answers_in_force(hashes={name for name, _ in answers})
        if not answer.adjudicated
    }
    new = {key: made for key, made in answers.items() if before.get(key) != (made.annotation, made.blind)}
    project.store.save_answers(list(new.values()))
    _ask_where_they_differ(project, {name for name, _ in new})
    replaced = sum(key in before and before[key][0] != made.annotation for key, made in new.items())
    return tuple(new.values()), replaced


def _ask_where_they_differ(project: Project, hashes: set[str]) -> None:
    """Where people's imported labels differ, a reviewer's decision needs a question to belong to."""
    said: dict[str, set[Annotation]] = defaultdict(set)
    for answer in project.store.answers_in_force(hashes=hashes):
        said[answer.input_hash].add(answer.annotation)
    differing = [name for name, annotations in said.items() if len(annotations) > 1]
    examples = project.store.examples(hashes=differing) if differing else ()
    project.store.add_tasks(project.task(example, number=0) for example in examples)


def _answer(project: Project, row: Row, annotation: Annotation, seq: int, blind: bool) -> Answer:
    scheme, text_hash, annotator = project.scheme, input_hash(row.text), row.annotator or IMPORT
    return Answer(
        answer_id=input_hash(f"{annotator}\x1f{text_hash}\x1f{annotation!r}\x1f{blind}\x1f{seq}"),
        task_hash=task_hash(text_hash, scheme.kind, scheme.labels),
        input_hash=text_hash,
        verdict="accept",
        annotation=annotation,
        annotator=annotator,
        milliseconds=0,
        seq=seq,
        blind=blind,
    )
