"""An expert simulated from gold labels, for demos and benchmarks.

Whatever it answers is marked as simulated, and so is every figure that rests on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from annoloop.errors import FormatError
from annoloop.hashing import input_hash
from annoloop.selection.costs import SECONDS_PER_WORD, SECONDS_TO_START
from annoloop.types import Annotation, Answer, LabelScheme, Span, Task

ANNOTATOR = "oracle"

# The modelled time of an answer, in seconds: start + a word read + a correction made. Assumed, not
# measured. Replace it with a fit to real answers before anything is claimed about time.
SECONDS_PER_EDIT = 3.0


First = dict[str, tuple[tuple[Path, int], Annotation]]
"""Where a text, by its input hash, was labelled first, and how."""


class Oracle:
    """Answers tasks by their text, from gold labels; made by `Oracle.load`.

    `warnings` says, line by line, what in the gold file is odd: a text labelled in two ways (the first
    counts), spans off spaCy's token borders (kept exactly as they are), rows without labels.
    """

    annotator = ANNOTATOR

    def __init__(
        self, gold: Iterable[tuple[str, Annotation]], *, scheme: LabelScheme, warnings: Iterable[str] = ()
    ) -> None:
        self.scheme = scheme
        self.warnings = tuple(warnings)
        self._gold: dict[str, Annotation] = {}
        for text, annotation in gold:
            self._gold.setdefault(input_hash(text), annotation)

    @classmethod
    def load(
        cls,
        *paths: Path,
        scheme: LabelScheme,
        lang: str,
        text_column: str | None = None,
        label_column: str | None = None,
    ) -> Oracle:
        """Read files of labelled texts, in any format that the corpus reads; the columns are for CSV and TSV.

        Raises:
            FormatError: a line cannot be read, or no line has labels.
        """
        warnings: list[str] = []
        columns = (text_column, label_column)
        first: First = {}
        gold = [item for path in paths for item in read_gold(path, scheme, lang, columns, warnings, first)]
        if not gold:
            named = ", ".join(str(path) for path in paths)
            raise FormatError(f"{named}: not one labelled text", hint="an oracle needs a file of gold labels")
        return cls(gold, scheme=scheme, warnings=warnings)

    def __len__(self) -> int:
        """How many different texts it can answer."""
        return len(self._gold)

    def __contains__(self, text_hash: str) -> bool:
        """Whether it knows the text of this input hash."""
        return text_hash in self._gold

    def answer(self, task: Task, *, seq: int) -> Answer | None:
        """What the expert would say; None where the gold does not hold this text.

        The same task always gets the same `answer_id`, so a loop that resumes cannot answer twice.
        `milliseconds` is modelled (`seconds`), never measured. `seq` is in microseconds since 1970.
        """
        gold = self._gold.get(task.example.input_hash)
        if gold is None:
            return None
        shown = task.suggestion.annotation if task.suggestion and task.assisted else None
        return Answer(
            answer_id=input_hash(f"{task.task_hash}\x1f{ANNOTATOR}"),
            task_hash=task.task_hash,
            input_hash=task.example.input_hash,
            verdict="accept",
            annotation=gold,
            annotator=ANNOTATOR,
            milliseconds=round(1000 * seconds(task.example.text, gold, shown)),
            seq=seq,
            blind=not task.assisted,
            simulated=True,
        )


def seconds(text: str, gold: Annotation, shown: Annotation | None) -> float:
    """Modelled time of one answer: start, words read, and edits from what was shown to the gold.

    An edit is a span or a category to add, to remove, or to change. None shown: everything is added.
    """
    seen = shown or Annotation()
    edits = max(len(_parts(gold) - _parts(seen)), len(_parts(seen) - _parts(gold)))
    return SECONDS_TO_START + SECONDS_PER_WORD * len(text.split()) + SECONDS_PER_EDIT * edits


def _parts(annotation: Annotation) -> set[Span | str]:
    return {*annotation.labels, *annotation.spans}


def read_gold(
    path: Path,
    scheme: LabelScheme,
    lang: str,
    columns: tuple[str | None, str | None],
    warnings: list[str],
    first: First | None = None,
) -> Iterator[tuple[str, Annotation]]:
    """Text and labels of every row that has labels; what is odd goes to `warnings`.

    `columns` are those of the texts and the categories, for CSV and TSV; None: found by their names. `first`
    holds what earlier files say, and is added to.

    Raises:
        FormatError: a line cannot be read.
    """
    from annoloop.corpus.read import BadRow, read_rows
    from annoloop.corpus.spacy_io import off_token_borders
    from annoloop.corpus.tokenizer import blank

    nlp = blank(lang)
    first = {} if first is None else first
    text_column, label_column = columns
    rows = read_rows(
        path,
        scheme=scheme,
        lang=lang,
        text_column=text_column,
        label_column=label_column,
        borders=False,
    )
    for row in rows:
        if isinstance(row, BadRow):
            raise FormatError(str(row), hint="mend the gold file: an oracle that guesses is no oracle")
        if row.annotation is None or not row.complete or row.verdict not in (None, "accept"):
            warnings.append(
                f"{path}, line {row.line}: no complete, accepted labels, so no answer to this text"
            )
            continue
        here = (path, row.line)
        where, annotation = first.setdefault(input_hash(row.text), (here, row.annotation))
        if where != here:
            if annotation != row.annotation:
                other = f"line {where[1]}" if where[0] == path else f"{where[0]}, line {where[1]}"
                warnings.append(f"{path}, line {row.line}: labelled differently in {other}, which counts")
            continue
        for problem in off_token_borders(nlp, row.text, row.annotation):
            span = problem.span
            warnings.append(
                f"{path}, line {row.line}: span {span.start}-{span.end} {problem.reason}; kept exact"
            )
        yield row.text, row.annotation
