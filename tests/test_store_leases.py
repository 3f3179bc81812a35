"""Who gets which text: each as many annotators as wanted, nobody twice by accident, nobody kept waiting."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoloop.hashing import input_hash, task_hash
from annoloop.store import leases as leases_module
from annoloop.store.leases import Holder
from annoloop.store.store import Store
from annoloop.types import Annotation, Answer, Example, Span, Task

SAID = (Annotation(), Annotation(spans=(Span(0, 1, "A"),)))


def ask(store: Store, count: int, *, wanted: int = 1) -> list[Task]:
    made = []
    for number in range(count):
        text = f"text {number}"
        example = Example(input_hash(text), text)
        made.append(Task(task_hash(text, "ner", ("A",)), example, None, False, -number, 1, wanted))
    store.add_examples(task.example for task in made)
    store.add_tasks(made)
    return made


def say(store: Store, task: Task, who: str, seq: int, *, said: int = 0, **more: Any) -> None:
    made = Answer(f"{who}-{seq}", task.task_hash, task.example.input_hash, "accept", SAID[said], who, 1, seq)
    store.save_answers([replace(made, **more)])
    store.release_leases([task.task_hash], who, adjudicating=made.adjudicated)


def names(tasks: Any) -> list[str]:
    return [task.example.text for task in tasks]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "project.sqlite")


def test_a_text_wanted_twice_goes_to_two_people_and_to_neither_again(store: Store) -> None:
    tasks = ask(store, 2, wanted=2)
    assert names(store.lease_tasks("ada", "a", want=5, now=0)) == ["text 0", "text 1"]
    assert names(store.lease_tasks("bob", "b", want=5, now=0)) == ["text 0", "text 1"]
    assert store.lease_tasks("eve", "e", want=5, now=0) == ()
    say(store, tasks[0], "ada", 1)
    assert names(store.lease_tasks("ada", "a", want=5, now=1)) == ["text 1"]
    # One answer and one lease are two.
    assert store.lease_tasks("eve", "e", want=5, now=1) == ()
    # Neither of the two has answered the other: their leases end, and somebody else gets it.
    assert names(store.lease_tasks("eve", "e", want=5, now=700)) == ["text 0", "text 1"]
    say(store, tasks[0], "eve", 2)
    assert store.lease_tasks("bob", "b", want=5, now=701) == (tasks[1],)


def test_two_tabs_of_one_annotator_share_no_text(store: Store) -> None:
    ask(store, 4, wanted=2)
    first = store.lease_tasks("ada", "one", want=2, now=0)
    second = store.lease_tasks("ada", "two", want=9, now=0)
    assert names(first) + names(second) == [f"text {n}" for n in range(4)]


def test_a_lease_from_before_the_clock_was_set_back_blocks_nobody(store: Store) -> None:
    ask(store, 1)
    assert store.lease_tasks("ada", "a", want=1, now=1_000_000)
    assert store.lease_tasks("bob", "b", want=1, now=500_000)


def test_after_a_long_sleep_a_text_is_the_clients_again_only_where_nobody_else_has_it(store: Store) -> None:
    tasks = ask(store, 3)
    have = [task.task_hash for task in store.lease_tasks("ada", "a", want=3, now=0)]
    (taken,) = store.lease_tasks("bob", "b", want=1, now=700)
    say(store, tasks[1], "eve", 1)
    back = store.lease(Holder("ada", "a", 800), want=0, have=have)
    assert back.gone == (taken.task_hash, tasks[1].task_hash)
    assert store.lease_tasks("eve", "e", want=5, now=900) == ()


def test_leases_are_written_again_only_after_a_third_of_their_time(store: Store) -> None:
    ask(store, 3)
    have = [task.task_hash for task in store.lease_tasks("ada", "a", want=2, now=0)]
    assert store.lease_unchanged(Holder("ada", "a", 150), want=0, have=have) is not None
    assert store.lease_unchanged(Holder("ada", "a", 250), want=0, have=have) is None
    assert store.lease_unchanged(Holder("ada", "a", 150), want=1, have=have) is None
    store.lease(Holder("ada", "a", 250), want=0, have=have)
    assert store.lease_unchanged(Holder("ada", "a", 400), want=0, have=have) is not None
    assert names(store.lease_tasks("bob", "b", want=5, now=700)) == ["text 2"]


def test_skipped_texts_come_back_once_the_oldest_first_after_all_others(store: Store) -> None:
    tasks = ask(store, 4)
    say(store, tasks[2], "ada", 1, verdict="ignore")
    say(store, tasks[0], "ada", 2, verdict="ignore")
    assert names(store.lease_tasks("ada", "a", want=9, now=0)) == ["text 1", "text 3", "text 2", "text 0"]
    assert names(store.lease_tasks("ada", "other tab", want=9, now=1)) == []
    assert names(store.lease_tasks("bob", "b", want=9, now=1)) == []
    leased = store.lease(Holder("ada", "a", 2), want=9)
    assert leased.again == {tasks[0].task_hash, tasks[2].task_hash}
    say(store, tasks[2], "ada", 3, verdict="ignore")
    say(store, tasks[0], "ada", 4, retracted=True)
    say(store, tasks[0], "ada", 5, verdict="ignore")
    # The second time is the last; a skip that was taken back has not been the first.
    left = store.lease(Holder("ada", "a", 1000), want=9)
    assert names(left.tasks) == ["text 1", "text 3", "text 0"] and left.again == {tasks[0].task_hash}


def test_a_reviewer_gets_what_people_differ_on_and_no_other_reviewer_the_same(store: Store) -> None:
    tasks = ask(store, 5, wanted=2)
    for number, (ada, bob) in enumerate([(0, 1), (0, 0), (1, 0)]):
        say(store, tasks[number], "ada", 10 + number, said=ada)
        say(store, tasks[number], "bob", 10 + number, said=bob)
    say(store, tasks[3], "ada", 13, said=1)
    say(store, tasks[3], "bob", 13, verdict="ignore")
    disputed = store.lease_disputed("rev", "r", want=1, now=0)
    assert names(disputed) == ["text 0"]
    assert names(store.lease_disputed("ron", "n", want=9, now=0)) == ["text 2"]
    everything = store.lease_disputed("ron", "n", want=9, now=0, agreement_passes=False)
    assert names(everything) == ["text 1", "text 2"] or names(everything) == ["text 2", "text 1"]
    say(store, tasks[0], "rev", 20, said=1, adjudicated=True)
    say(store, tasks[2], "rev", 21, verdict="ignore", adjudicated=True)
    # A reviewer's lease keeps no annotator away, and what a reviewer skips comes back once.
    assert names(store.lease_tasks("eve", "e", want=9, now=0)) == ["text 4"]
    assert names(store.lease_disputed("rev", "r", want=9, now=0)) == ["text 2"]
    assert (store.progress().differ, store.progress().same) == (0, 1)
    # What is decided does not come back to the annotator who skipped it.
    assert names(store.lease_tasks("bob", "b", want=9, now=900)) == ["text 4", "text 3"]
    say(store, tasks[3], "rev", 22, adjudicated=True)
    assert names(store.lease_tasks("bob", "b", want=9, now=2000)) == ["text 4"]


def test_a_doubted_text_goes_to_a_reviewer_and_holds_up_nobody(store: Store) -> None:
    (task,) = ask(store, 1)
    assert not store.send_to_review(task.task_hash), "nobody has said anything that could be doubted"
    say(store, task, "ada", 1)
    assert store.send_to_review(task.task_hash) and store.progress().per_round == {1: (1, 0)}
    assert store.progress().differ == 1
    assert store.lease_tasks("bob", "b", want=1, now=0) == ()
    assert names(store.lease_disputed("rev", "r", want=1, now=0)) == ["text 0"]
    say(store, task, "rev", 2, adjudicated=True)
    assert not store.send_to_review(task.task_hash) and store.progress().differ == 0


def test_near_the_end_of_a_batch_nobody_holds_all_that_is_left(store: Store) -> None:
    tasks = ask(store, 20)
    say(store, tasks[0], "bob", 1)
    held = store.lease_tasks("ada", "a", want=16, now=0)
    assert len(held) == 5
    assert store.lease_tasks("ada", "a", want=16, have=[task.task_hash for task in held], now=0) == ()
    # The first to come to a project has nobody to leave anything to.
    say(store, tasks[0], "bob", 2, retracted=True)
    assert len(store.lease_tasks("eve", "e", want=9, now=2000)) == 9


def test_texts_left_in_another_window_can_be_fetched(store: Store) -> None:
    ask(store, 3)
    held = store.lease_tasks("ada", "old", want=3, now=0)
    assert store.lease_tasks("ada", "new", want=3, now=1) == ()
    assert store.held_elsewhere(Holder("ada", "new", 1)) == 3
    assert store.held_elsewhere(Holder("bob", "b", 1)) == 0
    store.fetch_here(Holder("ada", "new", 2))
    assert store.lease_tasks("ada", "new", want=3, now=2) == held
    assert store.held_elsewhere(Holder("ada", "new", 2)) == 0
    assert store.held_elsewhere(Holder("ada", "old", 2)) == 3


def test_one_who_is_far_ahead_in_a_long_queue_misses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases_module, "LONG_QUEUE", 3)
    tasks = ask(store, 12, wanted=2)
    held = store.lease_tasks("bob", "b", want=2, now=0)
    store.lease_tasks("eve", "e", want=2, now=0)
    seen = []
    for seq in range(1, 20):
        leased = store.lease_tasks("ada", "a", want=1, now=seq)
        if leased:
            seen += names(leased)
            say(store, leased[0], "ada", seq)
    assert seen == [f"text {n}" for n in range(2, 12)]
    # The others let theirs go; behind what she has reached there is something for her again.
    assert store.lease_tasks("ada", "a", want=9, now=900) == held
    say(store, tasks[5], "ada", 50, retracted=True)
    assert names(store.lease_tasks("ada", "a", want=9, now=901)) == ["text 0", "text 1", "text 5"]


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["ask", "say", "away"]), st.integers(0, 400)),
        max_size=60,
    ),
    st.integers(1, 3),
)
def test_whatever_people_do_no_text_gets_more_answers_than_wanted(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, str, int]], wanted: int
) -> None:
    with Store.open(tmp_path_factory.mktemp("moves") / "project.sqlite") as store:
        ask(store, 5, wanted=wanted)
        have: dict[str, list[Task]] = {who: [] for who in "abcd"}
        now = 0
        for seq, (who, move, later) in enumerate(moves, 1):
            now += later
            leased = store.lease(Holder(who, who, now), want=2, have=[task.task_hash for task in have[who]])
            have[who] = [task for task in have[who] if task.task_hash not in leased.gone] + [*leased.tasks]
            if move == "say" and have[who]:
                say(store, have[who].pop(0), who, seq)
            elif move == "away":
                have[who] = []
        said = Counter((answer.input_hash, answer.annotator) for answer in store.answers_in_force())
        assert not said or max(said.values()) == 1
        texts = Counter(answer.input_hash for answer in store.answers_in_force())
        assert not texts or max(texts.values()) <= wanted
        # Nobody's absence blocks a text: one after the other, the four finish it all.
        for seq, who in enumerate("abcd" * 5, 1000):
            now += 2000
            for task in store.lease_tasks(who, "late", want=5, now=now):
                say(
                    store,
                    task,
                    who,
                    seq * 10 + len(task.example.text),
                    answer_id=f"{seq}{task.task_hash}"[:64],
                )
        assert store.progress().open == 0
