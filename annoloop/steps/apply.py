"""Label a file of texts with the newest model, outside any corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from annoloop.corpus.read import BadRow, read_rows
from annoloop.corpus.write import write_jsonl
from annoloop.errors import FormatError, TrainingError
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import latest_model
from annoloop.types import Example, Gold


def apply_to_file(
    project: Project,
    file: Path,
    out: Path,
    *,
    text_column: str | None = None,
    ray: bool = False,
    on_progress: OnProgress = silent,
) -> int:
    """Write the texts of `file` with the model's labels to the JSONL file `out`; returns how many.

    `ray` spreads the work over a Ray cluster, or over this machine's cores where there is none.

    Raises:
        TrainingError: there is no model, or it answers with labels that the project has no longer.
        FormatError: a row cannot be read; nothing is written then.
    """
    model = latest_model(project)
    if model is None:
        raise TrainingError(f"{project.folder} has no trained model", hint="train one: annoloop loop PROJECT")
    model.require_labels()
    from annoloop.packaging.apply import apply, apply_with_ray

    examples = list(_examples(project, file, text_column))
    run = apply_with_ray if ray else apply
    annotations = run(model.path, [eg.text for eg in examples], scheme=project.scheme)

    def labelled() -> Iterator[Gold]:
        for done, (example, annotation) in enumerate(zip(examples, annotations, strict=True)):
            on_progress("labelling", done, len(examples))
            yield Gold(example, annotation)

    return write_jsonl(out, labelled(), project.scheme, lang=project.settings.project.lang, answered=False)


def _examples(project: Project, file: Path, text_column: str | None) -> Iterator[Example]:
    lang = project.settings.project.lang
    for row in read_rows(file, scheme=project.scheme, text_column=text_column, lang=lang, labels=False):
        if isinstance(row, BadRow):
            raise FormatError(str(row), hint="mend the file; nothing was written")
        yield Example(input_hash(row.text), row.text, row.meta)
