"""Rules, LLM and model as voters: one suggestion out of what they say, where that is better on dev.

How far each is trusted is learned from dev gold alone, and of the model from what it said of dev before it
learned from dev. The LLM is never asked for a vote: it votes where its answers are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from annoloop.errors import BlindnessError
from annoloop.evaluation.scores import score
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps import reasons
from annoloop.steps.llm.source import ImportedSource, LLMSource, llm_source
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import ModelSource, Said, Source, ask_source, latest_model, rules_source
from annoloop.store.rows import annotation_to_json, dump
from annoloop.types import Annotation, Example, Gold, Scores
from annoloop.voting.combine import Ballot, Combination, combine, cross_fitted, disagreement

FEWEST_TEXTS = 20
"""Dev texts that all voters have read: on fewer nobody can say that the vote is better."""
_LOOKED_AT, _READ = 500, 0.9
_VERSION = 1


@dataclass(frozen=True)
class VotedSource:
    """The voters' common suggestion about texts of the pool."""

    project: Project
    voters: tuple[Source, ...]
    gold: tuple[Gold, ...]
    approach: Literal["votes"] = "votes"

    @property
    def key(self) -> str:
        """Changes with the voters and with the dev gold that says how far each is trusted."""
        gold = sorted([one.example.input_hash, annotation_to_json(one.annotation)] for one in self.gold)
        shaped = [_VERSION, [voter.key for voter in self.voters], self.project.scheme.labels, gold]
        return f"votes:{input_hash(dump(shaped))}"

    @property
    def name(self) -> str:
        """As people see it: "vote of rules, LLM and model"."""
        names = ["LLM" if voter.approach == "llm" else voter.approach for voter in self.voters]
        return f"vote of {', '.join(names[:-1])} and {names[-1]}"

    @cached_property
    def _combination(self) -> Combination:
        examples = [one.example for one in self.gold]
        ballots = _ballots(self.project, self.voters, examples)
        return combine(ballots, [one.annotation for one in self.gold], self.project.scheme)

    def predict(self, examples: Sequence[Example]) -> Iterator[Said]:
        """Count the votes, with confidence, reason and disagreement; None where nobody votes.

        Raises:
            BlindnessError: a text is not of the pool.
        """
        for example in examples:
            if example.split != "pool":
                raise BlindnessError(
                    f"text {example.input_hash} is in {example.split}: no vote is taken on it",
                    hint="votes are suggestions, and only texts of the pool get those",
                )
        language, scheme = reasons.language_of(self.project), self.project.scheme
        names = [voter.name for voter in self.voters]
        for ballot in _ballots(self.project, self.voters, examples):
            vote = self._combination.vote(ballot)
            pairs = list(zip(names, ballot.said, strict=True))
            detail = {
                "score": vote.confidence,
                "reason": reasons.of_votes(ballot.example.text, pairs, language),
                "disagreement": disagreement(ballot, scheme),
            }
            yield ballot.example, vote.annotation, detail


@dataclass(frozen=True)
class Judgement:
    """The vote beside the best of its voters, on the dev texts that all voters have read.

    `said` is what the vote says of each dev text, learned from the other texts, by input hash.
    """

    source: VotedSource
    voted: Scores
    best: Source
    single: Scores
    said: Mapping[str, Annotation]

    @property
    def better(self) -> bool:
        """Whether the vote scores higher than every voter alone."""
        return (self.voted.score or 0.0) > (self.single.score or 0.0)


def judge(project: Project, *, on_progress: OnProgress = silent) -> Judgement | None:
    """Score the vote and its best single voter on dev; None where there are no two voters to compare.

    The vote on a text is learned from other texts, so that it is judged as the voters are: on texts
    it has not seen. The LLM is not asked about anything.
    """
    panel = voters(project)
    gold = tuple(one for one in project.dev_gold() if one.complete)
    if len(panel) < 2:
        return None
    ballots = _ballots(project, panel, [one.example for one in gold], on_progress=on_progress)
    voted_on = [(one, ballot) for one, ballot in zip(gold, ballots, strict=True) if any(ballot.said)]
    read = [one for one, ballot in voted_on if None not in ballot.said]
    if len(read) < FEWEST_TEXTS:
        return None
    scheme, seed = project.scheme, project.settings.training.seed
    said = cross_fitted([b for _, b in voted_on], [one.annotation for one, _ in voted_on], scheme)
    alone = []
    for place, voter in enumerate(panel):
        own = {one.example.input_hash: b.said[place] or Annotation() for one, b in voted_on}
        alone.append((score(scheme, read, own, seed=seed), voter))
    single, best = max(alone, key=lambda pair: pair[0].score or 0.0)
    source = VotedSource(project, panel, tuple(one for one, _ in voted_on))
    return Judgement(source, score(scheme, read, said, seed=seed), best, single, said)


def voters(project: Project) -> tuple[Source, ...]:
    """Rules, LLM and newest model, as far as the project has them.

    The LLM votes where it has read nearly all of the pool that waits: one that read the dev texts only
    would be part of what is judged and not of what is suggested.
    """
    llm = llm_source(project)
    found: list[Source | None] = [rules_source(project), llm, latest_model(project)]
    if llm is not None and not _has_read_the_pool(project, llm):
        found.remove(llm)
    return tuple(source for source in found if source is not None)


def disagreements(
    project: Project,
    examples: Sequence[Example],
    *,
    panel: Sequence[Source] | None = None,
    on_progress: OnProgress = silent,
) -> list[float | None]:
    """How far the voters differ on each text of the pool, 0 to 1; None where fewer than two vote.

    `panel` names some of the voters; None means all.
    """
    panel = voters(project) if panel is None else panel
    ballots = _ballots(project, panel, examples, on_progress=on_progress)
    return [disagreement(ballot, project.scheme) for ballot in ballots]


def _has_read_the_pool(project: Project, llm: LLMSource | ImportedSource) -> bool:
    answered = {answer.input_hash for answer in project.store.answers_in_force()}
    hashes = (eg.input_hash for eg in project.store.examples(split="pool"))
    # Hashes are as good as chance, so the lowest are a fair sample.
    waiting = sorted(name for name in hashes if name not in answered)[:_LOOKED_AT]
    kept = project.predictions(llm.key, hashes=waiting)
    read = sum(annotation is not None for annotation, _ in kept.values())
    return bool(waiting) and read >= _READ * len(waiting)


def _ballots(
    project: Project,
    panel: Sequence[Source],
    examples: Sequence[Example],
    *,
    on_progress: OnProgress = silent,
) -> list[Ballot]:
    """What each voter says of the texts, in their order."""
    said = [_votes(project, voter, examples, on_progress) for voter in panel]
    return [Ballot(eg, tuple(own.get(eg.input_hash) for own in said)) for eg in examples]


def _votes(
    project: Project, voter: Source, examples: Sequence[Example], on_progress: OnProgress
) -> dict[str, Annotation]:
    """A voter's annotations by input hash: honest ones only, and none that would cost anything."""
    learned_from = isinstance(voter, ModelSource)
    hashes = [eg.input_hash for eg in examples if not (learned_from and eg.split == "dev")]
    found: dict[str, Annotation] = {}
    if isinstance(voter, LLMSource | ImportedSource):
        # What it was shown the answer to, it says back.
        shown = {input_hash(shot.text) for shot in voter.few_shot} if isinstance(voter, LLMSource) else set()
        found = _kept(project, voter.key, [name for name in hashes if name not in shown])
    elif hashes:
        wanted = set(hashes)
        asked = [eg for eg in examples if eg.input_hash in wanted]
        found = ask_source(project, voter, asked, on_progress=on_progress)
    if isinstance(voter, ModelSource):
        dev = [eg.input_hash for eg in examples if eg.split == "dev"]
        found |= _kept(project, voter.dev_key, dev)
    return found


def _kept(project: Project, key: str, hashes: Sequence[str]) -> dict[str, Annotation]:
    kept = project.predictions(key, hashes=hashes)
    return {name: annotation for name, (annotation, _) in kept.items() if annotation is not None}
