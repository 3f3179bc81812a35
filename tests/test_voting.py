"""Voters combined: probabilities that are some, trust learned from dev alone, used where better."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from fake_llm import FakeLLM
from hypothesis import given, settings
from hypothesis import strategies as st
from small_project import LABELS, PATTERNS, expert, feedback, small_project, write_rows

from annoloop.errors import BlindnessError
from annoloop.hashing import fraction, input_hash
from annoloop.project import Project
from annoloop.steps.ask import BLIND_ROUND, answer_with, ask_blind, open_round
from annoloop.steps.llm.source import import_llm_answers, llm_source, pin_few_shot
from annoloop.steps.sources import ask_source, latest_model, rules_source
from annoloop.steps.suggest import best_source, suggestions
from annoloop.steps.train import train_round
from annoloop.steps.vote import disagreements, judge, voters
from annoloop.types import Annotation, Example, LabelScheme, Span
from annoloop.voting.calibrate import ENOUGH_FOR_ISOTONIC, calibration
from annoloop.voting.combine import Ballot, Vote, combine, cross_fitted, disagreement
from annoloop.voting.label_model import ABSTAIN, UNKNOWN, fit, one_accuracy
from annoloop.voting.spans import best_cut, candidates, chosen

CLASSES = 3


@st.composite
def panels(draw, voters: int | None = None):
    """Votes (items, voters) with abstentions, and what is known of the truth."""
    width = voters or draw(st.integers(1, 4))
    row = st.lists(st.integers(ABSTAIN, CLASSES - 1), min_size=width, max_size=width)
    rows = draw(st.lists(st.tuples(row, st.integers(UNKNOWN, CLASSES - 1)), min_size=1, max_size=30))
    votes = np.asarray([votes for votes, _ in rows], dtype=np.int64)
    return votes, np.asarray([known for _, known in rows], dtype=np.int64)


@given(panels())
def test_posteriors_are_probabilities_and_the_same_votes_give_the_same(panel):
    votes, known = panel
    model = fit(votes, classes=CLASSES, known=known)
    posterior = model.posterior(votes)
    assert posterior.shape == (len(votes), CLASSES)
    assert posterior.sum(axis=1) == pytest.approx(np.ones(len(votes)))
    assert (posterior > 0).all()
    assert model.confusion.sum(axis=2) == pytest.approx(np.ones(model.confusion.shape[:2]))
    silent = np.full_like(votes, ABSTAIN)
    assert model.posterior(silent) == pytest.approx(np.tile(model.prior, (len(votes), 1)))
    assert fit(votes, classes=CLASSES, known=known).posterior(votes) == pytest.approx(posterior, abs=1e-9)


@given(panels(), st.randoms(use_true_random=False))
def test_texts_in_another_order_give_the_same_in_that_order(panel, random):
    votes, known = panel
    order = list(range(len(votes)))
    random.shuffle(order)
    plain = fit(votes, classes=CLASSES, known=known).posterior(votes)
    mixed = fit(votes[order], classes=CLASSES, known=known[order]).posterior(votes[order])
    assert mixed == pytest.approx(plain[order], abs=1e-4)


@given(panels(), st.integers(0, 4))
def test_a_voter_that_always_abstains_changes_nothing(panel, place):
    votes, known = panel
    wider = np.insert(votes, min(place, votes.shape[1]), ABSTAIN, axis=1)
    plain = fit(votes, classes=CLASSES, known=known).posterior(votes)
    assert fit(wider, classes=CLASSES, known=known).posterior(wider) == pytest.approx(plain, abs=1e-4)
    base = one_accuracy(votes, known, classes=CLASSES)
    plain = fit(votes, classes=CLASSES, known=known, base=base).posterior(votes)
    base = one_accuracy(wider, known, classes=CLASSES)
    told = fit(wider, classes=CLASSES, known=known, base=base).posterior(wider)
    assert told == pytest.approx(plain, abs=1e-4)


@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.booleans())
def test_a_perfect_voter_wins_against_chance(seed, others, based):
    rng = np.random.default_rng(seed)
    known = np.arange(120) % CLASSES
    votes = np.column_stack([known, rng.integers(ABSTAIN, CLASSES, (120, others))])
    base = one_accuracy(votes, known, classes=CLASSES) if based else None
    model = fit(votes, classes=CLASSES, known=known, base=base)
    asked = np.column_stack([known, rng.integers(ABSTAIN, CLASSES, (120, others))])
    assert (model.posterior(asked).argmax(axis=1) == known).all()


def test_what_voters_are_like_is_found_without_any_truth():
    """The published use: three voters of different skill, told apart by how they agree."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 2_000)
    skills = (0.8, 0.75, 0.7)
    votes = np.column_stack([np.where(rng.random(2_000) < skill, truth, 1 - truth) for skill in skills])
    model = fit(votes, classes=2)
    found = model.confusion[:, [0, 1], [0, 1]].mean(axis=1)
    assert found == pytest.approx(skills, abs=0.04)
    single = (votes[:, 0] == truth).mean()
    assert (model.posterior(votes).argmax(axis=1) == truth).mean() > single + 0.02
    # A little truth is taken as it is, and the rest is learned beside it.
    known = np.where(np.arange(2_000) < 200, truth, UNKNOWN)
    found = fit(votes, classes=2, known=known).confusion[:, [0, 1], [0, 1]].mean(axis=1)
    assert found == pytest.approx(skills, abs=0.04)


@pytest.mark.parametrize("wrong", [3, -2])
def test_a_vote_for_no_class_is_refused(wrong):
    votes = np.asarray([[0], [wrong]])
    with pytest.raises(ValueError, match="vote is not one of 3"):
        fit(votes, classes=3)
    with pytest.raises(ValueError, match="known class is not one of 3"):
        fit(np.abs(votes) % 3, classes=3, known=votes[:, 0])


@pytest.mark.parametrize("count", [ENOUGH_FOR_ISOTONIC // 2, ENOUGH_FOR_ISOTONIC * 4])
def test_what_is_stated_too_surely_is_brought_down_and_never_changes_order(count):
    rng = np.random.default_rng(1)
    true = rng.uniform(0.2, 0.8, count)
    right = rng.random(count) < true
    stated = 1 / (1 + ((1 - true) / true) ** 4)
    curve = calibration(stated, right)
    assert np.abs(curve(stated) - true).mean() < 0.5 * np.abs(stated - true).mean()
    grid = curve(np.linspace(0, 1, 101))
    assert (np.diff(grid) >= 0).all() and (grid > 0).all() and (grid < 1).all()


def test_where_nothing_can_be_learned_of_a_confidence_it_is_the_share_of_right_ones():
    never, always = np.zeros(8, dtype=bool), np.ones(8, dtype=bool)
    values = np.linspace(0, 1, 8)
    assert calibration(values, always)(values) == pytest.approx(np.full(8, 0.9))
    assert calibration(values, never)(values) == pytest.approx(np.full(8, 0.1))
    assert calibration(np.zeros(0), np.zeros(0, dtype=bool))(values) == pytest.approx(np.full(8, 0.5))
    # The surer it said it was, the more often it was wrong: it is not turned round.
    assert calibration(values, values < 0.5)(values) == pytest.approx(np.full(8, 0.5))


@given(
    st.lists(st.tuples(st.sampled_from([0.05, 0.2, 0.5, 0.9]), st.booleans()), max_size=25), st.integers(0, 9)
)
def test_no_other_cut_has_a_higher_f(found, missed):
    probabilities = np.asarray([p for p, _ in found])
    right = np.asarray([true for _, true in found], dtype=bool)

    def f(cut: float) -> float:
        said = probabilities >= cut
        total = int(said.sum()) + int(right.sum()) + missed
        return 2 * int((said & right).sum()) / total if total else 0.0

    cut = best_cut(probabilities, right, missed=missed)
    assert 0 <= cut <= 1
    assert f(cut) >= max(f(other) for other in (0.0, 0.1, 0.3, 0.7, 1.0))


KINDS = {
    "ner": ("X", "Y"),
    "spancat": ("X", "Y"),
    "textcat": ("a", "b", "c"),
    "textcat_multilabel": ("a", "b"),
}
ODD = st.text(min_size=1, max_size=20) | st.sampled_from(
    ["İstanbul\r\nGap 👩‍👩‍👧", "שלום עולם", "東京都", "é́ ", " "]
)


@st.composite
def elections(draw, scheme: LabelScheme):
    """Ballots of two or three voters on odd texts, with truths; all fit the scheme."""
    texts = draw(st.lists(ODD, min_size=1, max_size=8, unique=True))
    width = draw(st.integers(2, 3))
    ballots, truths = [], []
    for text in texts:
        said = [draw(st.none() | annotations(scheme, len(text))) for _ in range(width)]
        ballots.append(Ballot(Example(input_hash(text), text), tuple(said)))
        truths.append(draw(annotations(scheme, len(text))))
    return ballots, truths


def annotations(scheme: LabelScheme, length: int):
    if not scheme.has_spans:
        most = 1 if scheme.is_exclusive else len(scheme.labels)
        return st.builds(Annotation, st.lists(st.sampled_from(scheme.labels), max_size=most).map(tuple))
    edges = st.lists(st.integers(0, length), min_size=2, max_size=2, unique=True).map(sorted)
    spans = st.builds(lambda e, label: Span(e[0], e[1], label), edges, st.sampled_from(scheme.labels))
    return st.lists(spans, max_size=3).map(lambda found: Annotation(spans=_apart(found, scheme)))


def _apart(spans: Sequence[Span], scheme: LabelScheme) -> tuple[Span, ...]:
    kept: list[Span] = []
    for span in spans:
        if scheme.kind == "spancat" or all(span.end <= k.start or k.end <= span.start for k in kept):
            kept.append(span)
    return tuple(kept)


def same(one: Vote, other: Vote) -> bool:
    """Equal up to the last digits, in which sums of another memory layout may differ."""
    return one.annotation == other.annotation and one.confidence == pytest.approx(other.confidence)


def _with_silent(ballot: Ballot) -> Ballot:
    return replace(ballot, said=(*ballot.said, None))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(st.data())
def test_every_vote_fits_the_scheme_in_any_order_of_the_texts(kind, data):
    scheme = LabelScheme(kind, KINDS[kind])
    ballots, truths = data.draw(elections(scheme))
    learned = combine(ballots, truths, scheme)
    backwards = combine(ballots[::-1], truths[::-1], scheme)
    known = {item for ballot in ballots for said in ballot.said if said for item in said.spans}
    for ballot in ballots:
        vote = learned.vote(ballot)
        assert same(vote, backwards.vote(ballot))
        if vote.annotation is None:
            assert vote.confidence is None
            continue
        scheme.check(vote.annotation, ballot.example.text)
        assert set(vote.annotation.spans) <= known
        empty = not vote.annotation.labels and not vote.annotation.spans
        assert (vote.confidence is None) == empty
        assert empty or 0 < vote.confidence < 1
        apart = disagreement(ballot, scheme)
        assert apart == disagreement(replace(ballot, said=ballot.said[::-1]), scheme)
        assert apart is None or 0 <= apart <= 1
    # Nobody who has read nothing has a say.
    silent = combine([_with_silent(ballot) for ballot in ballots], truths, scheme)
    assert all(same(silent.vote(_with_silent(ballot)), learned.vote(ballot)) for ballot in ballots)
    said = cross_fitted(ballots, truths, scheme)
    assert said == cross_fitted(ballots[::-1], truths[::-1], scheme)
    assert set(said) <= {ballot.example.input_hash for ballot in ballots}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(st.data())
def test_what_is_said_of_a_text_to_judge_by_does_not_depend_on_its_truth(kind, data):
    scheme = LabelScheme(kind, KINDS[kind])
    ballots, truths = data.draw(elections(scheme))
    place = data.draw(st.integers(0, len(ballots) - 1))
    example = ballots[place].example
    turned = list(truths)
    turned[place] = data.draw(annotations(scheme, len(example.text)))
    said = [cross_fitted(ballots, known, scheme).get(example.input_hash) for known in (truths, turned)]
    assert said[0] == said[1]


def test_of_spans_that_overlap_the_likelier_stays_and_spancat_keeps_both():
    short, long, far = Span(0, 3, "X"), Span(0, 10, "X"), Span(20, 24, "X")
    found = [(short, 0.6), (long, 0.9), (far, 0.2)]
    ner, spancat = LabelScheme("ner", ("X",)), LabelScheme("spancat", ("X",))
    assert chosen(found, ner, least=0.5) == (long,)
    assert chosen([(short, 0.9), (long, 0.9)], ner, least=0.5) == (long,)
    assert chosen(found, spancat, least=0.5) == (short, long)
    assert candidates([frozenset({far}), frozenset({short, far})], ner) == (short, far)


def two_voters(*, rules, model, missed) -> tuple[list[Ballot], list[Annotation]]:
    """A span a text; `rules` and `model` are (right, wrong): how many the one marks and the other not."""
    ballots, truths = [], []
    for who, (right, wrong) in enumerate((rules, model, (missed, 0))):
        for number in range(right + wrong):
            text = f"Gap {who} {number} and further words that nobody marks here"
            said = Annotation(spans=(Span(0, 3, "X"),))
            votes = (said if who == 0 else Annotation(), said if who == 1 else Annotation())
            ballots.append(Ballot(Example(input_hash(text), text), votes))
            truths.append(said if number < right else Annotation())
    return ballots, truths


NAMES = LabelScheme("ner", ("X",))


def test_spans_of_one_voter_alone_are_taken_where_it_is_right_alone():
    """Rules find a few names and no others, a model many: neither denies what the other finds."""
    ballots, truths = two_voters(rules=(20, 1), model=(60, 10), missed=5)
    learned = combine(ballots, truths, NAMES)
    assert all(
        learned.vote(ballot).annotation.spans for ballot in ballots if any(s.spans for s in ballot.said)
    )


def test_the_silence_of_a_voter_that_errs_often_is_no_assent():
    """Rules err often, so they are seldom silent where the model errs: that makes it no surer of itself."""
    ballots, truths = two_voters(rules=(120, 180), model=(4, 16), missed=600)
    learned = combine(ballots, truths, NAMES)
    by_rules, by_model = (learned.vote(ballots[place]).confidence for place in (0, 300))
    assert by_rules == pytest.approx(0.4, abs=0.03)
    assert by_model is None or by_model == pytest.approx(0.2, abs=0.03)


def test_the_silence_of_a_voter_that_misses_most_is_no_denial():
    """The model alone is right more often than the rules alone, though it says little of what there is."""
    ballots, truths = two_voters(rules=(60, 90), model=(12, 8), missed=600)
    learned = combine(ballots, truths, NAMES)
    by_rules, by_model = (learned.vote(ballots[place]).confidence for place in (0, 150))
    assert by_model > by_rules


def test_disagreement_is_how_far_apart_any_two_are():
    spans = LabelScheme("spancat", ("X",))
    one, two = Annotation(spans=(Span(0, 1, "X"),)), Annotation(spans=(Span(0, 1, "X"), Span(2, 3, "X")))
    example = Example(input_hash("abc"), "abc")
    assert disagreement(Ballot(example, (one, one, None)), spans) == 0
    assert disagreement(Ballot(example, (one, Annotation())), spans) == 1
    assert disagreement(Ballot(example, (one, two)), spans) == pytest.approx(1 / 3)
    assert disagreement(Ballot(example, (one, one, Annotation())), spans) == pytest.approx(2 / 3)
    assert disagreement(Ballot(example, (one, None)), spans) is None
    topics = LabelScheme("textcat", ("a", "b"))
    # Rules of which no pattern matches have no category to offer: they abstain.
    assert disagreement(Ballot(example, (Annotation(("a",)), Annotation())), topics) is None
    assert disagreement(Ballot(example, (Annotation(("a",)), Annotation(("b",)))), topics) == 1


ROWS = feedback(160)
TRUTH = {row["text"]: row["label"] for row in ROWS}


def begun(folder, *, wrong_about=lambda row: False, patterns=PATTERNS, server=None, **sections) -> Project:
    """A project with rules, dev and held-out answers, and an imported LLM that errs on some rows."""
    corpus = "held_out = 0.2\ndev = 0.4"
    project = small_project(
        folder, ROWS, server=server, corpus=corpus, review='language = "en"\nunassisted_share = 0', **sections
    )
    write_rows(project.patterns, patterns)
    ask_blind(project)
    answer_with(project, expert(project, ROWS), BLIND_ROUND)
    if server is None:
        rows = [
            {"text": row["text"], "label": wrong(row) if wrong_about(row) else row["label"]} for row in ROWS
        ]
        import_llm_answers(project, write_rows(folder / "llm.jsonl", rows), name="theirs")
    return project


def wrong(row: dict) -> str:
    return LABELS[(LABELS.index(row["label"]) + 1) % 3]


def lift_is_missed(row: dict) -> bool:
    """The LLM errs on most lifts, which the rules know, and on a few others, which they do not."""
    unlucky = fraction(input_hash(row["text"]), "test")
    return unlucky < (0.8 if row["label"] == "Aufzug" else 0.05)


def test_a_vote_that_is_better_than_each_is_what_the_expert_sees(tmp_path):
    project = begun(tmp_path / "p", wrong_about=lift_is_missed)
    judged = judge(project)
    assert judged.better and judged.voted.texts == judged.single.texts == len(project.dev_gold())
    source, why = best_source(project)
    assert source.name == "vote of rules and LLM" and source.approach == "votes"
    assert source.key == judge(project).source.key
    assert f"vote of rules and LLM {judged.voted.score:.3f}" in why
    open_round(project, 1, batch=30, source=source)
    tasks = project.store.tasks(round=1)
    assert len(tasks) == 30
    rules, kept = rules_source(project), project.store.predictions(source.key)
    for task in tasks:
        one = task.suggestion
        assert one.source == source.name and 0 < one.score < 1
        by_rules = (
            ", ".join(rules.rules.annotation(rules.rules.explain(task.example.text)).labels) or "nothing"
        )
        first, second = one.reason.splitlines()
        assert first == f"{rules.name}: {by_rules}"
        assert second.startswith("theirs (imported answers): ")
        _, detail = kept[task.example.input_hash]
        apart = by_rules != "nothing" and second.rsplit(": ", 1)[1] != by_rules
        assert detail["disagreement"] == (None if by_rules == "nothing" else float(apart))
    right = [task.suggestion.annotation.labels == (TRUTH[task.example.text],) for task in tasks]
    assert sum(right) / 30 > judged.single.score


def test_a_vote_that_is_no_better_is_not_used_and_that_is_said(tmp_path):
    project = begun(tmp_path / "p")
    judged = judge(project)
    assert judged.single.score == 1 and not judged.better
    source, why = best_source(project)
    assert source.key == rules_source(project).key
    assert (
        f"vote of rules and LLM is no better than theirs (imported answers): {judged.voted.score:.3f}" in why
    )


def test_a_project_may_want_no_vote(tmp_path):
    project = begun(tmp_path / "p", wrong_about=lift_is_missed, voting='use = "never"')
    assert judge(project).better
    source, why = best_source(project)
    assert source.key == rules_source(project).key and "vote" not in why


def test_one_voter_is_no_vote(tmp_path):
    project = begun(tmp_path / "p")
    project.patterns.unlink()
    assert judge(project) is None and len(voters(project)) == 1


def test_no_vote_is_taken_on_texts_to_judge_by(tmp_path):
    project = begun(tmp_path / "p", wrong_about=lift_is_missed)
    source = judge(project).source
    for split in ("dev", "held_out"):
        with pytest.raises(BlindnessError, match=f"is in {split}"):
            list(source.predict(project.store.examples(split=split)[:1]))


def test_held_out_answers_change_neither_trust_nor_judgement(tmp_path):
    def held_out_is_wrong(row):
        return lift_is_missed(row) or input_hash(row["text"]) in held_out

    held_out: set[str] = set()
    project = begun(tmp_path / "p", wrong_about=lift_is_missed)
    held_out |= {eg.input_hash for eg in project.store.examples(split="held_out")}
    other = begun(tmp_path / "q", wrong_about=held_out_is_wrong)
    first, second = judge(project), judge(other)
    assert first.voted == second.voted and first.single == second.single and first.said == second.said
    pool = project.store.examples(split="pool")
    votes = [[said for _, *said in judged.source.predict(pool)] for judged in (first, second)]
    assert votes[0] == votes[1]


def test_the_model_votes_on_dev_with_what_it_said_before_it_learned_from_dev(tmp_path):
    project = begun(tmp_path / "p", wrong_about=lift_is_missed)
    open_round(project, 1, batch=20, source=None)
    answer_with(project, expert(project, ROWS), 1)
    train_round(project, 1)
    model = latest_model(project)
    before = judge(project)
    assert model in before.source.voters and before.source.name == "vote of rules, LLM and model"
    # The shipped model has learned from dev, and would know everything.
    gold = {one.example.input_hash: one.annotation for one in project.dev_gold()}
    project.store.save_predictions(model.key, gold)
    after = judge(project)
    assert (after.voted, after.single, after.said) == (before.voted, before.single, before.said)
    # What it said before does count.
    project.store.save_predictions(model.dev_key, gold)
    assert judge(project).single.score == 1


def test_the_llm_votes_where_it_has_answered_and_is_never_asked(tmp_path):
    def answer(body):
        text = body["messages"][-1]["content"]
        return json.dumps(
            {"label": next((label for label in LABELS if label.lower() in text.lower()), LABELS[2])}
        )

    with FakeLLM(answer) as fake:
        project = begun(tmp_path / "p", server=fake)
        open_round(project, 1, batch=10, source=None)
        answer_with(project, expert(project, ROWS), 1)
        pin_few_shot(project)
        llm = llm_source(project)
        assert llm.few_shot
        assert [voter.approach for voter in voters(project)] == ["rules"] and judge(project) is None
        assert not fake.history
        # It has read the texts that will be suggested: now it has a vote, and still nobody asks it.
        ask_source(project, llm, project.store.examples(split="dev"))
        asked = len(fake.history)
        assert [voter.approach for voter in voters(project)] == ["rules"]
        pool = project.store.examples(split="pool")
        everything = {eg.input_hash: Annotation((LABELS[0],)) for eg in pool}
        unread = max(everything)
        del everything[unread]
        project.store.save_predictions(llm.key, everything)
        judged = judge(project)
        assert [voter.key for voter in judged.source.voters] == [rules_source(project).key, llm.key]
        made = suggestions(project, judged.source, pool)
        shown = {input_hash(shot.text) for shot in llm.few_shot}
        assert shown & set(everything)
        for name, one in made.items():
            out = name in shown or name == unread
            assert one.reason.endswith("has not read the text") == out
        assert disagreements(project, [eg for eg in pool if eg.input_hash == unread]) == [None]
        assert len(fake.history) == asked


def test_disagreement_asks_where_the_voters_differ(tmp_path):
    selection = 'strategy = "disagreement"\nrandom_share = 0.0'
    project = begun(tmp_path / "p", wrong_about=lift_is_missed, selection=selection)
    pool = project.store.examples(split="pool")
    apart = {eg.input_hash for eg, d in zip(pool, disagreements(project, pool), strict=True) if d}
    assert 5 < len(apart) < len(pool) - 5
    record = open_round(project, 1, batch=5, source=None)
    assert record.strategy == "disagreement" and len(record.tasks) == 5
    assert {task.example.input_hash for task in project.store.tasks(round=1)} <= apart


def test_where_nobody_can_differ_the_lot_decides(tmp_path):
    project = begun(tmp_path / "p", selection='strategy = "disagreement"')
    project.patterns.unlink()
    assert open_round(project, 1, batch=5, source=None).strategy == "random"
