"""Do successive models still differ? Their agreement on texts that nobody chose says when to stop.

Bloodgood and Vijay-Shanker (2009): stop where the mean agreement of the last three pairs of models on a
fixed random set of unlabelled texts reaches .99. Lower cut-offs stop far too early.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from annoloop.hashing import fraction
from annoloop.project import Project
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import ask_source, model_source
from annoloop.types import Annotation, Example, LabelScheme, Round

STOP_SET_FACT = "stop_set"
AGREEMENT_FACT = "stop_set.agreement"
MOST_TEXTS = 1_000
FEWEST_TEXTS = 100
"""On fewer texts .99 is one text more or less."""

WINDOW = 3
CUT_OFF = 0.99


@dataclass(frozen=True, slots=True)
class Agreed:
    """How far the models of two successive rounds agree: kappa for one category, else F of the parts.

    `value` is None where it is not defined: neither model finds anything, or both say one label only.
    """

    round: int
    models: str
    texts: int
    value: float | None


def compare_with_last(project: Project, record: Round, *, on_progress: OnProgress = silent) -> Agreed | None:
    """Let a round's model read the stop set and compare it with the last one's; kept, and None in round 1."""
    examples = _stop_set(project)
    if len(examples) < FEWEST_TEXTS or record.model is None:
        return None
    said = ask_source(project, model_source(project, record), examples, on_progress=on_progress)
    earlier = [r for r in project.store.rounds() if r.model is not None and r.number < record.number]
    if not earlier:
        return None
    last = model_source(project, earlier[-1])
    before = ask_source(project, last, examples, on_progress=on_progress)
    names = [example.input_hash for example in examples]
    pairs = [(before.get(name, Annotation()), said.get(name, Annotation())) for name in names]
    found = Agreed(
        record.number,
        f"{earlier[-1].fingerprint} {record.fingerprint}",
        len(pairs),
        agreement(project.scheme, pairs),
    )
    kept = [known for known in agreements(project) if known.round < record.number]
    project.store.set_fact(AGREEMENT_FACT, [asdict(known) for known in (*kept, found)])
    return found


def agreements(project: Project) -> list[Agreed]:
    """The agreement of every round's model with the last one's, in order."""
    return [Agreed(**kept) for kept in project.store.fact(AGREEMENT_FACT) or []]


def settled(found: Sequence[Agreed]) -> str | None:
    """The advice to stop, where the models of the last rounds hardly differ; None while they do."""
    last = found[-WINDOW:]
    values = [one.value for one in last if one.value is not None]
    if len(values) < WINDOW or sum(values) / WINDOW < CUT_OFF:
        return None
    return (
        f"the models of the last {WINDOW + 1} rounds agree on {last[-1].texts} texts nobody chose "
        f"({sum(values) / WINDOW:.3f}, {CUT_OFF} is enough): more labels of this kind change little, so "
        "stop, or change the recipe"
    )


def agreement(scheme: LabelScheme, pairs: Sequence[tuple[Annotation, Annotation]]) -> float | None:
    """Cohen's kappa of single-choice categories; else 2 |both| / (|one| + |other|) over labels or spans."""
    if scheme.is_exclusive:
        return _kappa([(a.labels, b.labels) for a, b in pairs])
    both = one = other = 0
    for a, b in pairs:
        left, right = set(a.spans or a.labels), set(b.spans or b.labels)
        both, one, other = both + len(left & right), one + len(left), other + len(right)
    return 2 * both / (one + other) if one + other else None


def _kappa(pairs: Sequence[tuple[tuple[str, ...], tuple[str, ...]]]) -> float | None:
    total = len(pairs)
    lefts, rights = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(lefts[label] * rights[label] for label in lefts) / total**2
    same = sum(a == b for a, b in pairs) / total
    return None if chance == 1 else (same - chance) / (1 - chance)


def _stop_set(project: Project) -> tuple[Example, ...]:
    """A random part of the pool, fixed when first wanted; texts taken out since are missing."""
    store = project.store
    kept: list[str] | None = store.fact(STOP_SET_FACT)
    if kept is not None:
        return store.examples(split="pool", hashes=kept)
    salt = f"stop:{project.settings.training.seed}"
    drawn = sorted(store.examples(split="pool"), key=lambda eg: fraction(eg.input_hash, salt))[:MOST_TEXTS]
    if len(drawn) >= FEWEST_TEXTS:
        store.set_fact(STOP_SET_FACT, sorted(example.input_hash for example in drawn))
    return tuple(drawn)
