"""Gold derived from answers: recomputed each time, never edited."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from annoloop.types import Annotation, Answer, Example, Gold, LabelScheme


def gold_from_answers(
    examples: Iterable[Example], answers: Iterable[Answer], scheme: LabelScheme
) -> Iterator[Gold]:
    """Gold for every text on which the accepted answers in force agree, in the order of the texts.

    Rejected and ignored tasks say nothing about the truth and give no gold. Where annotators differ, the
    annotation of the clear majority counts; without one the text has no gold until somebody decides.
    A label that the project no longer has is left out of the annotation; the answer keeps it.
    """
    accepted: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        if answer.verdict == "accept" and not answer.retracted:
            accepted[answer.input_hash].append(answer)
    for example in examples:
        said = accepted.get(example.input_hash, [])
        annotation = _majority([_known(answer.annotation, scheme) for answer in said])
        if annotation is None or (scheme.is_exclusive and not annotation.labels):
            continue
        yield Gold(
            example,
            annotation,
            annotators=tuple(sorted({answer.annotator for answer in said})),
            blind=all(answer.blind for answer in said),
            simulated=any(answer.simulated for answer in said),
        )


def _known(annotation: Annotation, scheme: LabelScheme) -> Annotation:
    return Annotation(
        tuple(label for label in annotation.labels if label in scheme.labels),
        tuple(span for span in annotation.spans if span.label in scheme.labels),
    )


def _majority(annotations: list[Annotation]) -> Annotation | None:
    ranked = Counter(annotations).most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]
