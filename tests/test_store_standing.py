"""What is kept beside the answers always equals what counting them again would give."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from annoloop.hashing import input_hash, task_hash
from annoloop.store.answers import Progress
from annoloop.store.schema import in_force, tasks
from annoloop.store.store import Store
from annoloop.types import Annotation, Answer, Example, Span, Task

PEOPLE = ("ada", "bob", "eve")
SAID = (Annotation(), Annotation(spans=(Span(0, 1, "A"),)))


def question(number: int) -> Task:
    text = f"text {number}"
    example = Example(input_hash(text), text)
    return Task(task_hash(text, "ner", ("A",)), example, None, False, 0.0, number % 2, 1 + number % 3)


def answer(
    number: int, place: int, who: str, verdict: str, said: Annotation, seq: int, **more: bool
) -> Answer:
    task = question(number)
    made = Answer(f"id-{place}", task.task_hash, task.example.input_hash, "accept", said, who, 1, seq)
    return replace(made, verdict=verdict, **more)  # type: ignore[arg-type]


answered = st.tuples(
    st.integers(0, 4),
    st.sampled_from(PEOPLE),
    st.sampled_from(["accept", "accept", "reject", "ignore"]),
    st.sampled_from(SAID),
    st.integers(0, 6),
    st.sampled_from(
        [{}, {}, {"retracted": True}, {"adjudicated": True}, {"adjudicated": True, "retracted": True}]
    ),
)
steps = st.lists(
    st.one_of(st.lists(answered, min_size=1, max_size=4), st.sets(st.integers(0, 4))), max_size=12
)


def standing(history: list[Answer]) -> dict[tuple[str, str, bool], Answer]:
    newest: dict[tuple[str, str, bool], Answer] = {}
    for said in history:
        place = (said.input_hash, said.annotator, said.adjudicated)
        if place not in newest or said.seq >= newest[place].seq:
            newest[place] = said
    return newest


def what(answer: Answer) -> object:
    return answer.annotation if answer.verdict == "accept" else answer.verdict


def recounted(store: Store, who: str) -> Progress:
    history = list(reversed(store.answer_history(limit=1000)))
    live = [a for a in standing(history).values() if not a.retracted]
    rounds: dict[int, Counter[str]] = {}
    states: Counter[str] = Counter()
    changed = 0
    decisions = {}
    for said in sorted((a for a in live if a.adjudicated), key=lambda a: a.seq):
        decisions[said.input_hash] = said
    for task in store.tasks():
        own = [a for a in live if a.input_hash == task.example.input_hash and not a.adjudicated]
        decided = decisions.get(task.example.input_hash)
        open_ = decided is None and len(own) < task.wanted
        rounds.setdefault(task.round, Counter())["open" if open_ else "done"] += 1
        opinions = [what(a) for a in own if a.verdict != "ignore"]
        if decided is None and len(opinions) > 1:
            states["same" if len(set(opinions)) == 1 else "differ"] += 1
    for said in live:
        decided = decisions.get(said.input_hash)
        if said.annotator == who and not said.adjudicated and said.verdict != "ignore" and decided:
            changed += decided.annotator != who and what(decided) != what(said)
    return Progress(
        done=sum(count["done"] for count in rounds.values()),
        open=sum(count["open"] for count in rounds.values()),
        per_round={number: (count["done"], count["open"]) for number, count in sorted(rounds.items())},
        differ=states["differ"],
        same=states["same"],
        answers=sum(a.annotator == who and not a.adjudicated for a in live),
        decisions=sum(a.annotator == who and a.adjudicated for a in live),
        changed=changed,
    )


@settings(max_examples=60)
@given(steps)
def test_counts_equal_a_recount(tmp_path_factory: pytest.TempPathFactory, done: list) -> None:
    with Store.open(tmp_path_factory.mktemp("counts") / "project.sqlite") as store:
        store.add_examples(question(number).example for number in range(5))
        place = 0
        for step in done:
            if isinstance(step, set):
                store.add_tasks(question(number) for number in step)
                continue
            batch = []
            for number, who, verdict, said, seq, more in step:
                # A decision has a time of its own: two at the same moment have no order to recount.
                place += 1
                batch.append(answer(number, place, who, verdict, said, 100 * seq + place, **more))
            store.save_answers(batch)
        for who in PEOPLE:
            assert store.progress(who) == recounted(store, who)
        live = {
            (a.input_hash, a.annotator, a.adjudicated): a.answer_id
            for a in standing(list(reversed(store.answer_history(limit=1000)))).values()
            if not a.retracted
        }
        found = {(a.input_hash, a.annotator, a.adjudicated): a.answer_id for a in store.answers_in_force()}
        assert found == live


def test_counts_stand_under_concurrent_writers(tmp_path: Path) -> None:
    path = tmp_path / "project.sqlite"
    with Store.open(path) as store:
        store.add_examples(question(number).example for number in range(30))

    def ask() -> None:
        with Store.open(path) as own:
            for number in range(30):
                own.add_tasks([question(number)])

    def work(who: str) -> None:
        with Store.open(path) as own:
            for number in range(30):
                said = SAID[number % 2 if who == "eve" else 0]
                made = answer(number, 0, who, "accept", said, 1)
                own.save_answers([replace(made, answer_id=f"{who}-{number}")])

    threads = [threading.Thread(target=ask), *(threading.Thread(target=work, args=(who,)) for who in PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store.open(path) as store:
        assert store.answer_count() == 90
        for who in PEOPLE:
            assert store.progress(who) == recounted(store, who)
        assert store.progress().differ == 15 and store.progress().same == 15


def test_an_annotator_changes_nothing_that_a_reviewer_decided(tmp_path: Path) -> None:
    with Store.open(tmp_path / "project.sqlite") as store:
        task = replace(question(1), wanted=2)
        store.add_examples([task.example])
        store.add_tasks([task])
        store.save_answers(
            [answer(1, 1, "ada", "accept", SAID[0], 10), answer(1, 2, "bob", "accept", SAID[1], 11)]
        )
        assert store.progress().differ == 1
        # The reviewer is one of the two: what she said as an annotator stays beside what she decides.
        store.save_answers([answer(1, 3, "ada", "accept", SAID[1], 20, adjudicated=True)])
        assert (store.progress("bob").changed, store.progress("ada").changed) == (0, 0)
        store.save_answers(
            [answer(1, 4, "bob", "reject", SAID[0], 30), answer(1, 5, "ada", "ignore", SAID[0], 31)]
        )
        assert store.progress("bob") == Progress(1, 0, {1: (1, 0)}, answers=1, changed=1)
        store.save_answers([answer(1, 6, "ada", "accept", SAID[1], 40, adjudicated=True, retracted=True)])
        assert store.progress("bob").changed == 0 and store.progress().done == 1
        with store.reading() as connection:
            assert connection.execute(select(tasks.c.answered)).scalar_one() == 2
            assert len(list(connection.execute(select(in_force)))) == 3
