"""Write texts and gold: JSONL that annoloop and Prodigy read, and `.spacy` files for spaCy's own commands."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoloop.corpus.spacy_io import to_doc
from annoloop.corpus.tokenizer import blank
from annoloop.errors import FormatError
from annoloop.hashing import prodigy_input_hash, prodigy_task_hash
from annoloop.types import Example, Gold, LabelScheme

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc


def write_jsonl(
    path: str | Path,
    items: Iterable[Gold | Example],
    scheme: LabelScheme,
    *,
    lang: str = "en",
    answered: bool = True,
) -> int:
    """Write one task a line, as Prodigy's `db-out` does; returns the number of lines.

    Spans: a `ner_manual` or `spans_manual` task with tokens of `lang`'s tokenizer and `token_start`,
    `token_end` (inclusive); a span off token borders carries none of the two. Categories: a `choice`
    task with `options` and `accept`. A text without gold has neither and no `answer`. Incomplete gold
    (what is only known not to be so) is left out. With `answered` False nobody has accepted the labels: a
    model's are a question, not an answer. The file appears whole or not at all.

    Raises:
        FormatError: the file cannot be written.
    """
    nlp: list[Language] = []

    def doc_of(text: str) -> Doc:
        if not nlp:
            nlp.append(blank(lang))
        return nlp[0].make_doc(text)

    count = 0
    with _whole_file(Path(path)) as temporary, temporary.open("w", encoding="utf8", newline="\n") as file:
        for item in items:
            if isinstance(item, Gold) and not item.complete:
                continue
            task = _task(item, scheme)
            if not answered:
                task.pop("answer", None)
            if isinstance(item, Gold) and scheme.has_spans:
                _add_tokens(task, doc_of(item.example.text))
            file.write(json.dumps(task, ensure_ascii=False) + "\n")
            count += 1
        file.flush()
        os.fsync(file.fileno())
    return count


def write_docbin(path: str | Path, gold: Iterable[Gold], scheme: LabelScheme, *, lang: str = "en") -> int:
    """Write complete gold as a `.spacy` file, the input of `spacy train`; returns the number of documents.

    Raises:
        FormatError: the file cannot be written.
    """
    from spacy.tokens import DocBin

    nlp = blank(lang)
    docs = [to_doc(nlp, one.example.text, one.annotation, scheme) for one in gold if one.complete]
    with _whole_file(Path(path)) as temporary:
        DocBin(docs=docs, store_user_data=True).to_disk(temporary)
    return len(docs)


def _task(item: Gold | Example, scheme: LabelScheme) -> dict[str, Any]:
    example = item.example if isinstance(item, Gold) else item
    task: dict[str, Any] = {"text": example.text}
    if isinstance(item, Gold) and scheme.has_spans:
        spans = item.annotation.spans
        task["spans"] = [{"start": s.start, "end": s.end, "label": s.label} for s in spans]
    elif isinstance(item, Gold):
        task["options"] = [{"id": label, "text": label} for label in scheme.labels]
    task["_input_hash"] = prodigy_input_hash(task)
    task["_task_hash"] = prodigy_task_hash(task)
    if example.meta:
        task["meta"] = dict(example.meta)
    if isinstance(item, Gold):
        if not scheme.has_spans:
            task["accept"] = list(item.annotation.labels)
            task["config"] = {"choice_style": "single" if scheme.is_exclusive else "multiple"}
        views = {"ner": "ner_manual", "spancat": "spans_manual"}
        task |= {"_view_id": views.get(scheme.kind, "choice"), "answer": "accept"}
    return task


def _add_tokens(task: dict[str, Any], doc: Doc) -> None:
    task["tokens"] = [
        {"text": t.text, "start": t.idx, "end": t.idx + len(t), "id": t.i, "ws": bool(t.whitespace_)}
        for t in doc
    ]
    for span in task["spans"]:
        tokens = doc.char_span(span["start"], span["end"])
        if tokens is not None:
            span |= {"token_start": tokens.start, "token_end": tokens.end - 1}


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, which takes its place when the block ends without an error."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise FormatError(f"{path} cannot be written: {error.strerror}", hint="check the folder") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner reads; a new file follows the umask instead.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        raise FormatError(f"{path} cannot be written: {error.strerror}", hint="is the disk full?") from error
    finally:
        temporary.unlink(missing_ok=True)
