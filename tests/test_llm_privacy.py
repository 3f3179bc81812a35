"""No text leaves for an address that the project does not allow, whatever settings or environment say."""

import socket

import pytest
from fake_llm import FakeLLM, Reply

from annoloop.errors import BlindnessError, LLMError
from annoloop.hashing import input_hash
from annoloop.llm import endpoint as module
from annoloop.llm.annotate import annotate, check_llm, choose_few_shot
from annoloop.types import Annotation, DevGold, Example, Gold, HeldOutGold, LabelScheme, PoolGold

SCHEME = LabelScheme("textcat", ("GOOD", "BAD"))
GOOD = '{"label": "GOOD"}'


def ask(base_url, *, allow_remote="loopback", examples=None, few_shot=(), **model):
    block = {"base_url": base_url, "name": "fake", "retries": 0, "timeout": 5, **model}
    asked = examples or [Example(input_hash("secret text"), "secret text")]
    return list(
        annotate(asked, scheme=SCHEME, config={"model": block}, allow_remote=allow_remote, few_shot=few_shot)
    )


@pytest.fixture
def server():
    with FakeLLM(GOOD) as fake:
        yield fake


@pytest.fixture
def names(monkeypatch):
    """Host names that resolve as the test says; a list is used up one look-up at a time."""
    table = {}
    real = socket.getaddrinfo

    def lookup(host, port, *args, **kwargs):
        if host not in table:
            return real(host, port, *args, **kwargs)
        addresses = table[host]
        if addresses and isinstance(addresses[0], list):
            addresses = addresses.pop(0)
        if not addresses:
            raise socket.gaierror("no such host")
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port))
            for a in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return table


@pytest.fixture
def connected(monkeypatch):
    """The addresses that sockets were connected to; none beyond the loopback is let through."""
    reached = []
    real = socket.create_connection

    def connect(address, *args, **kwargs):
        reached.append(address[0])
        if not address[0].startswith("127."):
            raise OSError(f"the test lets nothing out to {address}")
        return real(address, *args, **kwargs)

    monkeypatch.setattr(socket, "create_connection", connect)
    return reached


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.8.8", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("192.168.1.1", "private"),
        ("fd00::1", "private"),
        ("172.32.0.1", "public"),
        ("169.254.169.254", "public"),
        ("fe80::1%eth0", "public"),
        ("100.64.0.1", "public"),
        ("0.0.0.0", "public"),
        ("::ffff:8.8.8.8", "public"),
        ("2606:4700::1111", "public"),
    ],
)
def test_the_reach_of_an_address(address, reach):
    assert module.reach_of(address) == reach


@pytest.mark.parametrize(
    ("addresses", "reach"),
    [
        (["127.0.0.1", "::1"], "loopback"),
        (["127.0.0.1", "10.0.0.1"], "private"),
        (["10.0.0.1", "8.8.8.8"], "public"),
        ([], "public"),
    ],
)
def test_the_widest_address_of_a_name_counts(names, addresses, reach):
    names["llm.test"] = addresses
    assert module.resolve("https://llm.test/v1").reach == reach


@pytest.mark.parametrize(
    ("addresses", "allowed"),
    [(["10.0.0.1"], "loopback"), (["8.8.8.8"], "loopback"), (["8.8.8.8"], "private"), ([], "private")],
)
def test_an_address_too_far_is_refused_before_anything_is_sent(names, connected, addresses, allowed):
    names["llm.test"] = addresses
    with pytest.raises(LLMError, match="nothing was sent"):
        ask("http://llm.test:8000/v1", allow_remote=allowed)
    with pytest.raises(LLMError, match="nothing was sent"):
        check_llm({"model": {"base_url": "http://llm.test:8000/v1", "name": "x"}}, allow_remote=allowed)
    assert connected == []


def test_a_block_may_narrow_what_the_project_allows_but_not_widen_it(names, connected):
    names["llm.test"] = ["10.0.0.1"]
    for project, block in (("loopback", "public"), ("public", "loopback")):
        with pytest.raises(LLMError, match="allows loopback only"):
            model = {"base_url": "http://llm.test/v1", "name": "x", "allow_remote": block}
            list(annotate([Example("h", "t")], scheme=SCHEME, config={"model": model}, allow_remote=project))
    assert connected == []


def test_a_name_that_changes_its_address_after_the_check_is_not_followed(names, connected, server):
    port = server.server.server_address[1]
    names["llm.test"] = [["127.0.0.1"]] * 3 + [["8.8.8.8"]] * 20
    (result,) = ask(f"http://llm.test:{port}/v1", workers=1)
    assert result.status == "ok" and set(connected) == {"127.0.0.1"}
    assert server.headers[0]["host"] == f"llm.test:{port}"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_refused(server, status):
    with FakeLLM(GOOD) as elsewhere:
        target = f"{elsewhere.base_url}/chat/completions"
        server.answer = lambda body: Reply(status=status, headers={"Location": target})
        with pytest.raises(LLMError, match="redirect"):
            ask(server.base_url)
        assert elsewhere.history == []


def test_proxies_of_the_environment_are_ignored(server, monkeypatch):
    with FakeLLM(GOOD) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.base_url.removesuffix("/v1"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert ask(server.base_url)[0].status == "ok"
        assert proxy.history == [] and len(server.history) == 1


def test_a_local_server_gets_no_key_no_organisation_and_nothing_about_this_machine(server, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "sk-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: sk-secret")
    ask(server.base_url)
    (headers,) = server.headers
    assert set(headers) <= module.SENT_HEADERS - {"authorization"}
    assert "sk-secret" not in str(headers)


def test_the_key_that_the_settings_name_is_sent(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-mine")
    ask(server.base_url, api_key_env="MY_KEY")
    assert server.headers[0]["authorization"] == "Bearer sk-mine"


def test_a_missing_key_for_a_remote_server_is_named(names, monkeypatch):
    names["api.openai.com"] = ["8.8.8.8"]
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(LLMError, match="OPENAI_API_KEY"):
        ask("https://api.openai.com/v1", allow_remote="public")


def test_the_usual_key_goes_to_its_own_host_only(names, monkeypatch):
    names.update({"api.openai.com": ["8.8.8.8"], "llm.test": ["8.8.8.8"]})
    monkeypatch.setenv("OPENAI_API_KEY", "sk-usual")
    assert module.api_key(module.resolve("https://api.openai.com/v1"), None) == "sk-usual"
    assert module.api_key(module.resolve("https://llm.test/v1"), None) is None


@pytest.mark.parametrize(
    "url", ["", "localhost:1234", "ftp://localhost", "http://", "http://u:p@localhost/v1", "http://h:x/"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(LLMError, match="base_url"):
        ask(url)


def test_a_spacy_llm_model_of_others_needs_public():
    asked = [Example(input_hash("a"), "a")]
    with pytest.raises(LLMError, match="nothing was sent"):
        list(annotate(asked, scheme=SCHEME, config={"model": {"@llm_models": "spacy.GPT-4.v3"}}))


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ({"temprature": 1}, "llm -> model -> temprature"),
        ({"workers": "many"}, "llm -> model -> workers"),
        ({"base_url": "http://localhost/v1"}, "name"),
        ({"base_url": None}, "no LLM is configured"),
    ],
)
def test_a_wrong_setting_is_named_with_its_path(model, path):
    with pytest.raises(LLMError, match=path):
        list(annotate([Example("h", "t")], scheme=SCHEME, config={"model": model}))


def gold(split, text="a text"):
    return Gold(Example(input_hash(text), text, split=split), Annotation(labels=("GOOD",)))


def test_few_shot_examples_are_never_held_out_or_dev(server):
    for kind, split in ((HeldOutGold, "held_out"), (DevGold, "dev")):
        with pytest.raises(BlindnessError):
            ask(server.base_url, few_shot=kind((gold(split),)))
        with pytest.raises(BlindnessError):
            ask(server.base_url, few_shot=[gold(split)])
        with pytest.raises(BlindnessError):
            choose_few_shot(kind((gold(split),)), SCHEME)
    row = type("Row", (), {"text": "judged", "annotation": Annotation(labels=("GOOD",))})()
    with pytest.raises(BlindnessError, match="judged"):
        ask(
            server.base_url,
            few_shot=[row],
            examples=[Example(input_hash("judged"), "judged", split="held_out")],
        )
    assert server.history == []


def test_few_shot_examples_are_shown_as_turns(server):
    ask(server.base_url, few_shot=PoolGold((gold("pool"),)))
    turns = server.history[0]["messages"]
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[1]["content"] == "Text: a text" and turns[2]["content"] == GOOD
