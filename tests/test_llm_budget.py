"""Money for an LLM: prices, the limit that no run passes, estimates that send nothing."""

from __future__ import annotations

import json
import threading
import time

import pytest
from fake_llm import RESET, FakeLLM, Reply
from hypothesis import given
from hypothesis import strategies as st

from annoloop.errors import LLMError
from annoloop.hashing import input_hash
from annoloop.llm.annotate import annotate
from annoloop.llm.answers import MemoryCache
from annoloop.llm.budget import Budget, Prices, Rehearsal, estimate
from annoloop.types import Example, LabelScheme

SCHEME = LabelScheme("textcat", ("GOOD", "BAD"))
GOOD = '{"label": "GOOD"}'
PRICED = {"price_input": 1000.0, "price_output": 2000.0, "price_date": "2026-01-01", "max_tokens": 10}


def examples(count):
    return [Example(input_hash(f"text {n}"), f"text {n} 👍 İ") for n in range(count)]


def ask(server, asked, *, budget=None, cache=None, **model):
    block = {"base_url": server.base_url, "name": "fake", "retries": 2, "workers": 4, **model}
    config = {"model": {"@llm_models": "annoloop.OpenAI.v1", **block}}
    return list(annotate(asked, scheme=SCHEME, config=config, budget=budget, cache=cache))


@pytest.fixture
def server():
    with FakeLLM(GOOD) as fake:
        yield fake


def test_prices_are_by_the_million_and_known_tokens_have_their_own():
    prices = Prices(2.0, 10.0, cached=0.5)
    assert prices.of(1000, 400, 100) == pytest.approx((600 * 2 + 400 * 0.5 + 100 * 10) / 1e6)
    assert Prices(2.0, 10.0).of(1000, 400, 100) == pytest.approx((1000 * 2 + 100 * 10) / 1e6)
    assert prices.of(None, 0, 5) is None and prices.of(5, None, None) is None


@given(st.lists(st.text(max_size=80), min_size=1, max_size=4), st.integers(1, 500))
def test_no_request_costs_more_than_was_put_aside(texts, limit):
    prices = Prices(1.0, 3.0)
    body = {"messages": [{"role": "user", "content": text} for text in texts], "max_tokens": limit}
    tokens = sum(len(text.encode("utf8", "surrogatepass")) for text in texts)
    assert prices.most(body) >= prices.of(tokens, 0, limit)


@given(st.lists(st.tuples(st.floats(0.01, 5), st.floats(0, 1)), max_size=40), st.floats(0.1, 20))
def test_what_is_spent_never_passes_the_limit(calls, limit):
    budget = Budget(limit)
    for most, share in calls:
        if budget.reserve(most):
            budget.settle(most, most * share)
    assert budget.spent <= limit + 1e-9


def test_a_request_waits_for_room_that_those_under_way_may_leave():
    budget, got = Budget(10.0), []
    assert budget.reserve(8.0)
    waiting = threading.Thread(target=lambda: got.append(budget.reserve(5.0)))
    waiting.start()
    time.sleep(0.05)
    assert got == []
    budget.settle(8.0, 1.0)
    waiting.join(5)
    assert got == [True] and not budget.exhausted
    budget.settle(5.0, None)  # nobody told: all of it counts
    assert budget.spent == 6.0
    assert not budget.reserve(4.5) and budget.exhausted and not budget.reserve(0.1)


def test_the_run_stops_before_the_limit_and_says_which_texts_were_not_asked(server):
    cache, budget = MemoryCache(), Budget(2.0)
    results = ask(server, examples(200), budget=budget, cache=cache, **PRICED)
    asked = [r for r in results if r.status == "ok"]
    assert len(results) == 200 and 0 < len(asked) < 200
    assert {r.status for r in results} == {"ok", "budget"}
    assert budget.spent == pytest.approx(sum(r.cost for r in asked)) and budget.spent <= 2.0
    assert len(server.history) == len(asked) == len(cache)
    left = next(r for r in results if r.status == "budget")
    assert left.annotation is None and "max_cost = 2" in left.reason
    # The next run goes on from there.
    again = ask(server, examples(200), budget=Budget(2.0), cache=cache, **PRICED)
    assert sum(r.status == "ok" for r in again) > len(asked)


@pytest.mark.parametrize("fault", [RESET, Reply(body=b"no JSON")])
def test_a_call_that_broke_off_counts_as_all_that_it_could_cost(server, fault):
    budget = Budget(1000.0)
    server.queue.append(fault)
    (result,) = ask(server, examples(1), budget=budget, **PRICED)
    assert result.status == "ok" and budget.spent > 2 * result.cost


def test_a_refused_request_costs_nothing(server):
    budget = Budget(1000.0)
    server.queue.append(Reply(status=500))
    (result,) = ask(server, examples(1), budget=budget, **PRICED)
    assert budget.spent == pytest.approx(result.cost)


def test_a_limit_without_a_price_is_refused_before_anything_is_sent(server):
    with pytest.raises(LLMError, match="max_cost is 1, and what fake costs is not known") as refused:
        ask(server, examples(3), budget=Budget(1.0))
    assert "price_input" in refused.value.hint and server.history == []
    assert {r.status for r in ask(server, examples(3), budget=Budget())} == {"ok"}


def test_a_rehearsal_sends_nothing_and_counts_what_a_run_then_sends(server):
    cache, rehearsal = MemoryCache(), Rehearsal()
    ask(server, examples(5), cache=cache)
    before = len(server.history)
    results = ask(server, examples(20), budget=rehearsal, cache=cache, **{**PRICED, "max_tokens": None})
    assert len(server.history) == before
    assert [r.status for r in results].count("not_sent") == 15
    assert (rehearsal.calls, rehearsal.kept) == (15, 5)
    made = ask(server, examples(20), cache=cache, **{**PRICED, "max_tokens": None})
    sent = server.history[before:]
    characters = sum(len("\n\n".join(t["content"] for t in body["messages"])) for body in sent)
    assert (len(sent), characters) == (rehearsal.calls, rehearsal.characters)
    told = estimate(rehearsal, Prices(1000.0, 2000.0, date="2026-01-01"))
    assert told.most >= sum(r.cost for r in made if not r.cached) and told.price_date == "2026-01-01"
    assert told.cost == pytest.approx((told.prompt_tokens * 1000 + told.completion_tokens * 2000) / 1e6)
    assert estimate(rehearsal, None).cost is None
    exact = estimate(rehearsal, None, characters_per_token=2.0, completion_tokens=7.0)
    assert (exact.prompt_tokens, exact.completion_tokens) == (round(characters / 2), 105)


def test_further_parameters_are_sent_and_shape_the_answer(server):
    cache = MemoryCache()
    ask(server, examples(1), cache=cache)
    ask(server, examples(1), cache=cache, extra_body={"top_p": 0.5, "chat_template_kwargs": {"think": False}})
    assert "top_p" not in server.history[0] and len(server.history) == 2
    assert server.history[1]["top_p"] == 0.5 and "extra_body" not in json.dumps(server.history[1])
    with pytest.raises(LLMError, match="extra_body: messages"):
        ask(server, examples(1), extra_body={"messages": []})
