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
    annotation of the clear majority counts; without one the text has no gold until somebody decides. A
    reviewer's decision counts alone, the last one of several. Labels have the names that they have now;
    one that the project no longer has is left out of the annotation; the answer keeps it.
    """
    in_force: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        if not answer.retracted:
            in_force[answer.input_hash].append(answer)
    for example in examples:
        said = [a for a in _counting(in_force.get(example.input_hash, [])) if a.verdict == "accept"]
        annotation = _majority([scheme.current(answer.annotation) for answer in said])
        if annotation is None or (scheme.is_exclusive and not annotation.labels):
            continue
        yield Gold(
            example,
            annotation,
            annotators=tuple(sorted({answer.annotator for answer in said})),
            blind=all(answer.blind for answer in said),
            simulated=any(answer.simulated for answer in said),
        )


def _counting(said: list[Answer]) -> list[Answer]:
    decisions = [answer for answer in said if answer.adjudicated]
    return [max(decisions, key=lambda answer: answer.seq)] if decisions else said


def _majority(annotations: list[Annotation]) -> Annotation | None:
    ranked = Counter(annotations).most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]
