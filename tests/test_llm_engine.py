"""The engine against a server with faults: nothing lost, nothing paid twice, no failure taken for silence."""

import json
import socket
import threading
import time

import pytest
from fake_llm import RESET, FakeLLM, Reply

from annoloop.errors import LLMError
from annoloop.hashing import input_hash
from annoloop.llm import annotate as module
from annoloop.llm.answers import MemoryCache
from annoloop.llm.dialect import Dialect, proven_dialects, recall_dialects
from annoloop.types import Annotation, Example, LabelScheme, Span

SCHEME = LabelScheme("textcat", ("GOOD", "BAD"))
GOOD = '{"label": "GOOD"}'


def examples(count, prefix="text"):
    texts = [f"{prefix} {number}" for number in range(count)]
    return [Example(input_hash(text), text) for text in texts]


def block(server, **model):
    settings = {"base_url": server.base_url, "name": "fake", "retries": 3, "workers": 4, **model}
    return {"model": {"@llm_models": "annoloop.OpenAI.v1", **settings}, "task": {"@llm_tasks": "auto"}}


def ask(server, asked, *, scheme=SCHEME, cache=None, model=None, **options):
    return list(
        module.annotate(asked, scheme=scheme, config=block(server, **(model or {})), cache=cache, **options)
    )


def one(server, **options):
    (result,) = ask(server, examples(1), **options)
    return result


@pytest.fixture
def server():
    with FakeLLM(GOOD) as fake:
        yield fake


def test_an_answer_becomes_an_annotation_with_tokens_and_cost(server):
    result = one(server, model={"price_input": 2.0, "price_output": 10.0})
    assert (result.status, result.annotation) == ("ok", Annotation(labels=("GOOD",)))
    assert (result.prompt_tokens, result.completion_tokens) == (10, 5)
    assert result.cost == pytest.approx((10 * 2 + 5 * 10) / 1e6)
    assert one(server).cost is None


@pytest.mark.parametrize(
    "fault",
    [
        Reply(status=429, headers={"Retry-After": "0"}),
        Reply(status=500),
        Reply(status=408),
        Reply(status=503, headers={"Retry-After": "0"}),
        RESET,
        Reply(body=b"<html>not JSON</html>"),
        Reply(body=b'{"choices": []}'),
    ],
)
def test_a_fault_that_passes_costs_another_attempt_only(server, fault):
    server.queue.append(fault)
    assert one(server).status == "ok"
    assert len(server.history) == 2


def test_retry_after_is_waited_for(server):
    server.queue.append(Reply(status=429, headers={"Retry-After": "0.4"}))
    began = time.monotonic()
    assert one(server).status == "ok"
    assert time.monotonic() - began >= 0.4


def test_a_hanging_server_is_given_up_by_this_text_alone(server):
    server.answer = lambda body: Reply(GOOD, after=1.5 if "text 1" in body["messages"][-1]["content"] else 0)
    results = ask(server, examples(3), model={"timeout": 0.3, "retries": 0})
    assert sorted(result.status for result in results) == ["failed", "ok", "ok"]
    failed = next(result for result in results if result.status == "failed")
    assert failed.annotation is None and "in time" in failed.reason


def test_a_refused_text_fails_alone_and_is_asked_again_next_time(server):
    cache = MemoryCache()
    server.answer = lambda body: (
        Reply(status=400, error="context too long") if "text 2" in body["messages"][-1]["content"] else GOOD
    )
    results = ask(server, examples(4), cache=cache)
    assert [r.status for r in results].count("failed") == 1
    assert all(r.annotation is None for r in results if r.status == "failed")
    server.answer = lambda body: GOOD
    before = len(server.history)
    assert {r.status for r in ask(server, examples(4), cache=cache)} == {"ok"}
    assert len(server.history) == before + 1


def test_a_malformed_answer_gets_one_repair_turn(server):
    server.queue.extend(["Good, I think.", GOOD])
    assert one(server).status == "ok"
    assert len(server.history) == 2
    assert [turn["role"] for turn in server.history[1]["messages"]][-2:] == ["assistant", "user"]
    assert "no whole JSON object" in server.asked()[1]


@pytest.mark.parametrize(
    "content",
    [
        f"<think>{{maybe}} BAD</think>\n```json\n{GOOD}\n```",
        f"Sure! {GOOD} Hope that helps.",
        '{"label": "good"}',
    ],
)
def test_the_parser_takes_the_first_whole_object(server, content):
    server.answer = lambda body: content
    result = one(server)
    assert result.annotation == Annotation(labels=("GOOD",)) and len(server.history) == 1


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"label": "UGLY"}', '{"label": ["GOOD", "BAD"]}', '{"label": "GO']
)
def test_what_stays_malformed_is_no_annotation_and_is_not_paid_twice(server, content):
    cache = MemoryCache()
    server.answer = lambda body: Reply(content, finish="length")
    first = one(server, cache=cache)
    assert (first.status, first.annotation) == ("malformed", None)
    assert first.prompt_tokens == 20  # both turns
    again = one(server, cache=cache)
    assert again.status == "malformed" and again.cached and len(server.history) == 2


@pytest.mark.parametrize("reply", [Reply(None, refusal="I cannot"), Reply("", finish="content_filter")])
def test_a_refusal_is_a_status(server, reply):
    server.answer = lambda body: reply
    result = one(server)
    assert (result.status, result.annotation) == ("refusal", None) and result.reason


def test_structured_output_steps_down_once_and_is_remembered(server):
    def strict(body):
        form = body.get("response_format")
        if form is None:
            return GOOD
        return Reply(status=400, error=f"response_format {form['type']} is not supported")

    server.answer = strict
    assert {r.status for r in ask(server, examples(6), model={"workers": 1})} == {"ok"}
    forms = [body.get("response_format", {}).get("type") for body in server.history]
    assert forms == ["json_schema", "json_object", "json_object"] + [None] * 6
    ask(server, examples(2, "other"), model={"workers": 1})
    assert all("response_format" not in body for body in server.history[9:])


def test_parameters_that_a_model_does_not_take_are_left_out(server):
    def fussy(body):
        if "max_tokens" in body:
            return Reply(status=400, error="max_tokens is not supported, use max_completion_tokens")
        return Reply(status=400, error="temperature must be 1") if "temperature" in body else GOOD

    server.answer = fussy
    assert one(server).status == "ok"
    assert server.history[-1]["max_completion_tokens"] == 1024


def test_a_server_that_is_down_is_named_at_once(server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(LLMError, match=address):
            ask(server, examples(500), model={"base_url": address})


def test_a_wrong_key_ends_the_run_with_one_question(server):
    server.answer = lambda body: Reply(status=401, error="bad key")
    with pytest.raises(LLMError, match="refuses the key"):
        ask(server, examples(50), model={"workers": 1})
    assert len(server.history) == 1


def test_a_server_that_dies_half_way_loses_nothing(server):
    cache = MemoryCache()
    seen = []

    def dying(body):
        seen.append(1)
        return GOOD if len(seen) <= 20 else Reply(status=500)

    server.answer = dying
    got = []
    with pytest.raises(LLMError, match="does not answer"):
        for result in module.annotate(
            examples(60), scheme=SCHEME, config=block(server, retries=0), cache=cache
        ):
            got.append(result)
    assert sum(r.status == "ok" for r in got) == 20 == len(cache)
    server.answer = lambda body: GOOD
    before = len(server.history)
    assert len(ask(server, examples(60), cache=cache)) == 60
    assert len(server.history) - before == 40


def test_stopped_and_started_again_nothing_is_paid_twice(server):
    cache = MemoryCache()
    for _run in range(3):
        running = module.annotate(examples(40), scheme=SCHEME, config=block(server), cache=cache)
        for _ in range(9):
            next(running)
        running.close()
    results = ask(server, examples(40), cache=cache)
    assert {r.status for r in results} == {"ok"} and len(results) == 40
    assert len(set(server.asked())) == len(server.asked()) == 40


def test_twenty_percent_faults_and_every_text_is_answered_once(server):
    lock, count, paid = threading.Lock(), [0], []
    faults = [Reply(status=429, headers={"Retry-After": "0"}), Reply(status=500), RESET, Reply("no JSON")]

    def flaky(body):
        with lock:
            count[0] += 1
            if count[0] % 5 == 0:
                return faults[(count[0] // 5) % 4]
            asked = next(
                t["content"] for t in reversed(body["messages"]) if t["content"].startswith("Text: ")
            )
            paid.append(asked)
            return GOOD

    server.answer = flaky
    results = ask(server, examples(60), model={"workers": 8})
    assert len(results) == 60 and {r.status for r in results} == {"ok"}
    assert len(paid) == len(set(paid)) == 60


def test_an_answer_that_cannot_be_kept_stops_the_run(server):
    class Full(MemoryCache):
        def put(self, key, answer):
            raise LLMError("the disk is full")

    with pytest.raises(LLMError, match="disk is full"):
        ask(server, examples(10), cache=Full())


def test_whatever_shapes_the_answer_asks_anew(server):
    cache = MemoryCache()
    row = type("Row", (), {"text": "shown", "annotation": Annotation(labels=("BAD",))})()
    ask(server, examples(1), cache=cache)
    for changed in (
        {"model": {"temperature": 0.5}},
        {"model": {"name": "other"}},
        {"model": {"max_tokens": 7}},
        {"model": {"seed": 4}},
        {"scheme": LabelScheme("textcat", ("GOOD", "BAD", "UGLY"))},
        {"scheme": LabelScheme("textcat", ("GOOD", "BAD"), {"BAD": "not good"})},
        {"few_shot": [row]},
        {"guidelines": "Be kind."},
        {"lang": "de"},
    ):
        (result,) = ask(server, examples(1), cache=cache, **changed)
        assert not result.cached, changed
    asked = len(server.history)
    ask(server, examples(1), cache=cache, model={"workers": 9, "timeout": 3, "retries": 1})
    assert len(server.history) == asked


def test_words_in_another_order_are_another_question(server):
    scheme = LabelScheme("ner", ("ORG",))

    def first_word(body):
        text = body["messages"][-1]["content"].removeprefix("Text: ")
        return json.dumps({"entities": [{"quote": text.split()[0], "label": "ORG", "occurrence": 1}]})

    server.answer = first_word
    texts = ["Nike sued Adidas now", "Adidas sued Nike now"]
    asked = [Example(input_hash(text), text) for text in texts]
    results = {r.input_hash: r.annotation for r in ask(server, asked, scheme=scheme, cache=MemoryCache())}
    assert results[input_hash(texts[0])] == Annotation(spans=(Span(0, 4, "ORG"),))
    assert results[input_hash(texts[1])] == Annotation(spans=(Span(0, 6, "ORG"),))


class Ledger(MemoryCache):
    """Keeps calls too, as the store does."""

    def __init__(self):
        super().__init__()
        self.calls, self.batches = [], []

    def get_many(self, keys):
        return {key: self[key] for key in keys if key in self}

    def put_many(self, answers, calls):
        self.update(answers)
        self.calls += calls
        self.batches.append(len(answers))


def test_every_request_is_noted_with_what_became_of_it_and_no_word_of_the_text(server):
    server.queue.extend([Reply(status=429, headers={"Retry-After": "0"}), RESET, "secret text 0", GOOD])
    ledger = Ledger()
    result = one(server, cache=ledger, model={"price_input": 1.0, "price_output": 2.0, "price_date": "2026"})
    assert result.status == "ok"
    told = [(call.attempt, call.status, call.http, call.reason) for call in ledger.calls]
    assert told == [
        (1, "failed", 429, "HTTP 429"),
        (2, "failed", None, "connection broken"),
        (3, "malformed", 200, "not what was asked for"),
        (4, "ok", 200, ""),
    ]
    last = ledger.calls[-1]
    assert (last.prompt_tokens, last.completion_tokens, last.cost) == (10, 5, pytest.approx(20 / 1e6))
    assert (last.model, last.reach, last.template) == ("fake", "loopback", "textcat.v1.en")
    assert last.input_hash == result.input_hash and last.endpoint == server.base_url and last.at > 0
    assert last.price == {"input": 1.0, "cached": None, "output": 2.0, "date": "2026"}
    assert {call.key for call in ledger.calls} == set(ledger) and ledger.calls[0].cost is None
    # The answer's tokens and cost are those of both turns.
    assert result.prompt_tokens == 20 and result.cost == pytest.approx(40 / 1e6)


def test_calls_of_a_run_that_an_error_ends_are_noted(server):
    server.answer = lambda body: Reply(status=401, error="bad key: text 0")
    ledger = Ledger()
    with pytest.raises(LLMError, match="refuses the key"):
        ask(server, examples(1), cache=ledger)
    assert [(call.http, call.status, call.reason) for call in ledger.calls] == [(401, "failed", "HTTP 401")]


def test_tokens_that_the_server_knew_are_told_apart(server):
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 80}}
    choice = {"message": {"role": "assistant", "content": GOOD}, "finish_reason": "stop"}
    server.answer = lambda body: Reply(body=json.dumps({"choices": [choice], "usage": usage}).encode())
    ledger = Ledger()
    prices = {"price_input": 10.0, "price_cached": 1.0, "price_output": 0.0}
    result = one(server, cache=ledger, model=prices)
    assert ledger.calls[0].cached_tokens == 80 and result.cost == pytest.approx((20 * 10 + 80) / 1e6)


def test_equal_prompts_at_the_same_time_are_asked_once(server):
    server.answer = lambda body: Reply(GOOD, after=0.05)
    twice = [*examples(6), *examples(6), *examples(3)]
    results = ask(server, twice, cache=MemoryCache(), model={"workers": 8})
    assert sorted(r.input_hash for r in results) == sorted(eg.input_hash for eg in twice)
    assert {r.status for r in results} == {"ok"} and len(server.history) == 6
    assert sum(not r.cached for r in results) == 6


def test_many_answers_are_kept_at_a_time_each_before_it_is_yielded(server):
    class Slow(Ledger):
        def put_many(self, answers, calls):
            time.sleep(0.1)
            super().put_many(answers, calls)

    ledger = Slow()
    running = module.annotate(examples(40), scheme=SCHEME, config=block(server, workers=8), cache=ledger)
    for number, _result in enumerate(running, start=1):
        assert len(ledger) >= number
    assert sum(ledger.batches) == 40 and len(ledger.batches) < 30


def test_the_first_question_goes_alone_until_the_form_is_known(server):
    def strict(body):
        form = body.get("response_format")
        return Reply(GOOD, after=0.02) if form is None else Reply(status=400, error="response_format?")

    server.answer = strict
    ask(server, examples(30), model={"workers": 16})
    assert sum("response_format" in body for body in server.history) == 3
    assert len(server.history) == 33


def test_a_first_question_that_fails_does_not_hold_the_others_up(server):
    first = []

    def stuck(body):
        asked = body["messages"][-1]["content"]
        first.append(asked)
        return Reply(status=500) if asked == first[0] else GOOD

    server.answer = stuck
    results = ask(server, examples(8), model={"retries": 1, "workers": 8})
    assert sorted(r.status for r in results) == ["failed"] + ["ok"] * 7
    # They went between its first attempt and its second, not after it had given up.
    assert server.asked()[1] != server.asked()[0] == first[0]


def test_what_was_found_out_is_recalled_in_another_process(server):
    dialect = Dialect()
    dialect.learn({"response_format": {"type": "json_schema"}}, 400, "response_format")
    dialect.learn({"temperature": 0.0}, 400, "temperature must be 1")
    dialect.prove()
    other = Dialect()
    other.restore(json.loads(json.dumps(dialect.state())))
    assert other.proven and other.form == "json_object_schema" and other.state() == dialect.state()
    # What a file says is not believed blindly.
    broken = Dialect()
    broken.restore({"form": "morse", "dropped": ["messages"]})
    assert not broken.proven and broken.form == "json_schema"
    recall_dialects({f"{server.base_url} fake": dialect.state()})
    assert one(server).status == "ok"
    assert "temperature" not in server.history[0]
    assert server.history[0]["response_format"]["type"] == "json_object"
    assert f"{server.base_url} fake" in proven_dialects()


def test_an_answer_paid_for_is_kept_although_its_repair_fails(server):
    cache = MemoryCache()
    server.queue.append("no JSON")
    server.answer = lambda body: Reply(status=400, error="too long")
    first = one(server, cache=cache)
    assert first.status == "malformed" and first.prompt_tokens == 10
    before = len(server.history)
    assert one(server, cache=cache).status == "malformed" and len(server.history) == before
