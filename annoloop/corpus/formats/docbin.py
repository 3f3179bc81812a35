"""spaCy's `.spacy` files: a serialised DocBin."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoloop.corpus.formats.records import Record
from annoloop.corpus.tokenizer import blank
from annoloop.errors import FormatError
from annoloop.types import LabelScheme

if TYPE_CHECKING:
    from spacy.tokens import Doc


def read_docbin(path: Path, *, scheme: LabelScheme, lang: str) -> Iterator[Record]:
    """Yield {"text", "spans"? or "cats"?, "meta"} a document; its "line" is its number, from 1.

    Kind ner takes `doc.ents`, kind spancat `doc.spans["sc"]`, the others `doc.cats`.

    Raises:
        FormatError: the file is no DocBin.
    """
    from spacy.tokens import DocBin

    try:
        docs = DocBin().from_disk(path).get_docs(blank(lang).vocab)
        records = [Record(number, _fields(doc, scheme)) for number, doc in enumerate(docs, start=1)]
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error
    except (ValueError, KeyError, TypeError, RuntimeError, zlib.error) as error:
        hint = "write it with DocBin.to_disk or spacy convert"
        raise FormatError(f"{path} is no .spacy file: {error}", hint=hint) from error
    yield from records


def _fields(doc: Doc, scheme: LabelScheme) -> dict[str, Any]:
    fields: dict[str, Any] = {"text": doc.text, "meta": dict(doc.user_data.get("meta") or {})}
    if scheme.kind == "ner" and doc.has_annotation("ENT_IOB"):
        fields["spans"] = [_span(s) for s in doc.ents]
    elif scheme.kind == "spancat" and "sc" in doc.spans:
        fields["spans"] = [_span(s) for s in doc.spans["sc"]]
    elif not scheme.has_spans and doc.cats:
        fields["cats"] = dict(doc.cats)
    return fields


def _span(span: Any) -> dict[str, Any]:
    return {"start": span.start_char, "end": span.end_char, "label": span.label_}
