"""The ledger of LLM calls, duels and pattern choices: nothing paid is lost, nothing added is changed."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annoloop.errors import StoreError
from annoloop.hashing import input_hash
from annoloop.store.duels import Duel
from annoloop.store.ledger import Ratios
from annoloop.store.pattern_choices import PatternChoice, PatternProposal, line_hash
from annoloop.store.store import Store
from annoloop.types import Example, LLMCall

CALL = LLMCall(
    "k1",
    1_900_000_000_000_000,
    attempt=2,
    endpoint="http://127.0.0.1:9/v1",
    reach="loopback",
    model="Größe 👍",
    parameters={"temperature": 0.0, "seed": None},
    template="ner.v1.de",
    http=200,
    prompt_tokens=10,
    cached_tokens=4,
    completion_tokens=5,
    cost=0.25,
    price={"input": 1.0, "output": 2.0, "date": "2026-01-01"},
    milliseconds=50,
    reason="null \0 byte, half \ud83d",
    characters=40,
    input_hash=input_hash("İstanbul"),
)
DUEL = Duel("d1", input_hash("x"), "llm:a", "model:b", "left", "ada", 900, 1_900_000_000_000_000)
TEXTS = ("Levi's 👩‍👩‍👧", "İstanbul\r\n", "e\u0301", "null \0 byte", "lone \ud83d half", "")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "project.sqlite")


def check_everything(store: Store) -> None:
    """What every database has to do: also called on PostgreSQL."""
    kept = store.answers_kept(run="r1", purpose="suggest", round=2)
    failed = replace(CALL, status="failed", http=503, cost=None, completion_tokens=None, attempt=1)
    kept.put("k1", {"content": "İ 👍", "calls": (failed, CALL)})
    kept.put("k1", {"content": "later", "calls": [replace(CALL, attempt=3)]})
    kept.note([replace(failed, key="k2")])
    assert kept.get("k1") == {"content": "İ 👍"} and kept.get("k2") is None and len(kept) == 1
    calls = list(store.llm_calls(run="r1"))
    mine = {"run": "r1", "purpose": "suggest", "round": 2}
    assert calls[1] == replace(CALL, **mine) and [call.attempt for call in calls] == [1, 2, 3, 1]
    (sum_,) = store.spend()
    assert (sum_.purpose, sum_.round, sum_.model) == ("suggest", 2, "Größe 👍")
    assert (sum_.texts, sum_.calls, sum_.answers, sum_.cost, sum_.unpriced) == (1, 4, 2, 0.5, 0)
    assert (sum_.prompt_tokens, sum_.cached_tokens, sum_.completion_tokens) == (40, 16, 10)
    assert store.ratios("Größe 👍") == Ratios(4.0, 5.0) and store.ratios("other") is None
    assert store.save_duel(DUEL) and not store.save_duel(replace(DUEL, winner="right"))
    assert store.duels() == (DUEL,)
    store.save_proposals([PatternProposal('{"label": "A"}', "gold", {"right": 3})])
    store.choose_pattern(PatternChoice(line_hash('{"label":"A"}'), "reject", "ada", 1))
    for table in ("llm_calls", "llm_duels", "pattern_choices"):
        for verb in (f"DELETE FROM {table}", f"UPDATE {table} SET position = 99"):
            with pytest.raises(StoreError, match="append-only"), store.writing() as connection:
                connection.exec_driver_sql(verb)


def test_calls_duels_and_choices_read_back_as_they_were_kept(store: Store) -> None:
    check_everything(store)


def test_many_answers_are_kept_together_or_not_at_all(store: Store) -> None:
    kept = store.answers_kept(run="r", purpose="dev")
    answers = {f"k{n}": {"content": text} for n, text in enumerate(TEXTS)}
    with pytest.raises(StoreError):
        kept.put_many(answers, [CALL, replace(CALL, at=None)])  # type: ignore[arg-type]
    assert len(kept) == 0 and list(store.llm_calls()) == []
    kept.put_many(answers, [CALL])
    kept.put_many({"k0": {"content": "later"}, "k9": {"content": "new"}}, [])
    assert kept.get_many(["k0", "k9", "nowhere"]) == {"k0": {"content": TEXTS[0]}, "k9": {"content": "new"}}
    assert kept.get_many([]) == {} and len(kept) == len(TEXTS) + 1
    # More keys than a database takes variables.
    assert len(kept.get_many([f"k{n}" for n in range(40_000)])) == len(TEXTS) + 1


def test_an_answer_asked_for_anew_stays_until_another_takes_its_place(store: Store) -> None:
    store.answers_kept(run="a", purpose="dev").put_many(
        {"k1": {"content": "?", "status": "malformed"}, "k2": {"content": "!", "status": "ok"}}, []
    )
    anew = store.answers_kept(run="b", purpose="annotate", anew=("malformed",))
    assert list(anew.get_many(["k1", "k2"])) == ["k2"]
    assert store.responses.get("k1") == {"content": "?", "status": "malformed"}
    anew.put_many({"k1": {"content": "!!", "status": "ok"}, "k2": {"content": "no"}}, [])
    assert store.responses.get("k1") == {"content": "!!", "status": "ok"}
    assert store.responses.get("k2") == {"content": "!", "status": "ok"}


def test_one_run_is_told_apart_and_a_text_counts_once(store: Store) -> None:
    assert store.spend_in_all().calls == 0 and store.spend_in_all().cost is None
    before = store.llm_call_count()
    store.answers_kept(run="a", purpose="dev").note([CALL, replace(CALL, input_hash="other")])
    store.answers_kept(run="b", purpose="suggest", round=1).note([CALL])
    # Calls from before texts were noted: each answer of a text of its own.
    store.answers_kept(run="old", purpose="before").note([replace(CALL, key="k7", input_hash=None)])
    total = store.spend_in_all()
    assert (total.texts, total.calls, total.cost) == (3, 4, 1.0)
    assert store.spend_in_all(run="b").calls == 1 and store.llm_call_count() > before


def test_an_answer_and_its_calls_are_kept_together_or_not_at_all(store: Store) -> None:
    kept = store.answers_kept(run="r", purpose="dev")
    broken = replace(CALL, at=None)  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        kept.put("k", {"content": "paid", "calls": [CALL, broken]})
    assert kept.get("k") is None and list(store.llm_calls()) == []


def test_spend_is_told_by_purpose_round_and_model(store: Store) -> None:
    unknown = replace(CALL, cost=None)
    store.answers_kept(run="a", purpose="suggest", round=2).note([CALL, unknown])
    store.answers_kept(run="b", purpose="suggest", round=1).note([unknown])
    store.answers_kept(run="b", purpose="dev").note([replace(CALL, model="other"), CALL])
    told = [(one.purpose, one.round, one.model, one.calls, one.cost, one.unpriced) for one in store.spend()]
    assert told == [
        ("dev", None, "Größe 👍", 1, 0.25, 0),
        ("dev", None, "other", 1, 0.25, 0),
        ("suggest", 1, "Größe 👍", 1, None, 1),
        ("suggest", 2, "Größe 👍", 2, 0.25, 1),
    ]


def test_a_forgotten_answer_is_asked_anew_and_its_calls_stay(store: Store) -> None:
    kept = store.answers_kept(run="r", purpose="annotate")
    kept.put("k1", {"status": "malformed", "calls": [CALL]})
    assert store.forget_answer("k1") and not store.forget_answer("k1")
    kept.put("k1", {"status": "ok", "calls": [CALL]})
    assert kept.get("k1") == {"status": "ok"} and len(list(store.llm_calls(key="k1"))) == 2


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(gone=st.sets(st.sampled_from(TEXTS)))
def test_what_is_erased_is_gone_and_nothing_else(tmp_path: Path, gone: set[str]) -> None:
    (tmp_path / "p.sqlite").unlink(missing_ok=True)
    hashes = {text: input_hash(text) for text in TEXTS}
    with Store.open(tmp_path / "p.sqlite") as store:
        store.add_examples(Example(name, text) for text, name in hashes.items())
        kept = store.answers_kept(run="r", purpose="annotate")
        for text, name in hashes.items():
            call = replace(CALL, key=f"named {name}", input_hash=name)
            kept.put(call.key, {"prompt": f"Text: {text}!", "calls": [call]})
            # As they were kept before calls were: nothing but the prompt says which text it is.
            store.responses.put(f"nameless {name}", {"prompt": f"Text: {text}!"})
        # An empty text is in every prompt: it names none.
        nameless = {f"nameless {hashes[text]}" for text in gone if text}
        erased = {f"named {hashes[text]}" for text in gone} | nameless
        assert store.purge_responses(hashes[text] for text in gone) == len(erased)
        every = {f"{sort} {name}" for name in hashes.values() for sort in ("named", "nameless")}
        assert {key for key in every if kept.get(key) is None} == erased
        assert len(list(store.llm_calls())) == len(TEXTS)


def test_many_threads_keep_one_answer_and_all_their_calls(store: Store) -> None:
    kept = store.answers_kept(run="r", purpose="annotate")

    def work(number: int) -> None:
        kept.put("same", {"content": number, "calls": [replace(CALL, attempt=number)]})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = next(iter(store.llm_calls()))
    assert kept.get("same") == {"content": first.attempt}
    assert sorted(call.attempt for call in store.llm_calls()) == list(range(8))


def test_a_proposal_is_one_however_its_line_is_written(store: Store) -> None:
    store.save_proposals(
        [PatternProposal('{"label": "A", "pattern": "x"}', "gold"), PatternProposal("no json", "llm")]
    )
    store.save_proposals([PatternProposal('{"pattern":"x","label":"A"}', "llm", {"right": 3})])
    name = line_hash('{"label": "A",  "pattern": "x"}')
    assert store.proposals()[name] == PatternProposal('{"pattern":"x","label":"A"}', "llm", {"right": 3})
    assert len(store.proposals()) == 2
    store.choose_pattern(PatternChoice(name, "reject", "ada", 1))
    store.choose_pattern(PatternChoice(name, "accept", "bob", 2))
    assert store.pattern_choices() == {name: PatternChoice(name, "accept", "bob", 2)}
    assert set(store.proposals(undecided=True)) == {line_hash("no json")}


def test_duels_are_told_by_annotator(store: Store) -> None:
    store.save_duel(DUEL)
    store.save_duel(replace(DUEL, duel_id="d2", annotator="bob", winner="neither"))
    assert [duel.duel_id for duel in store.duels(annotator="bob")] == ["d2"]
    assert [duel.winner for duel in store.duels()] == ["left", "neither"]
