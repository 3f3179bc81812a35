"""No text leaves for an address that the project does not allow, whatever settings or environment say."""

import logging
import socket
import sys
import traceback
from contextlib import suppress

import catalogue
import pytest
from fake_llm import FakeLLM, Reply
from small_project import feedback, small_project, write_rows
from typer.testing import CliRunner

from annoloop.cli.app import app
from annoloop.errors import BlindnessError, LLMError
from annoloop.hashing import input_hash
from annoloop.llm import endpoint as module
from annoloop.llm.annotate import annotate, check_llm, choose_few_shot
from annoloop.llm.answers import MemoryCache, as_prompt
from annoloop.llm.foreign import ForeignModel
from annoloop.llm.model import ModelSettings, OpenAIModel
from annoloop.types import Annotation, DevGold, Example, Gold, HeldOutGold, LabelScheme, PoolGold

SCHEME = LabelScheme("textcat", ("GOOD", "BAD"))
GOOD = '{"label": "GOOD"}'


def ask(base_url, *, allow_remote="loopback", examples=None, few_shot=(), cache=None, **model):
    block = {"base_url": base_url, "name": "fake", "retries": 0, "timeout": 5, **model}
    asked = examples or [Example(input_hash("secret text"), "secret text")]
    return list(
        annotate(
            asked,
            scheme=SCHEME,
            config={"model": block},
            allow_remote=allow_remote,
            few_shot=few_shot,
            cache=cache,
        )
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


def test_under_loopback_a_name_is_not_even_looked_up(monkeypatch):
    asked = []

    def lookup(host, *args, **kwargs):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(LLMError, match="not even a look-up"):
        ask("http://secret-project.example.org/v1")
    with pytest.raises(LLMError, match="not even a look-up"):
        check_llm({"model": {"base_url": "http://localhost.example.org/v1", "name": "x"}})
    assert asked == []


@pytest.mark.parametrize(
    ("host", "addresses", "reach"),
    [
        ("localhost", ("127.0.0.1", "::1"), "loopback"),
        ("LOCALHOST.", ("127.0.0.1", "::1"), "loopback"),
        ("llm.localhost", ("127.0.0.1", "::1"), "loopback"),
        ("box", ("127.0.1.1",), "loopback"),
        ("Box.Intern", ("127.0.1.1", "10.0.0.7"), "private"),
        ("bad", (), "public"),
        ("127.1", ("127.0.0.1",), "loopback"),
        ("2130706433", ("127.0.0.1",), "loopback"),
        ("[::1]", ("::1",), "loopback"),
    ],
)
def test_names_that_this_machine_knows_by_itself(tmp_path, monkeypatch, host, addresses, reach):
    file = tmp_path / "hosts"
    file.write_text("# 8.8.8.8 box\n127.0.1.1 box.intern box\n10.0.0.7\tBOX.intern # x\nx.y bad\n\n")
    monkeypatch.setattr("annoloop.llm.hosts.hosts_file", lambda: file)
    found = module.resolve(f"http://{host}:80/v1", look_up=False)
    assert (found.addresses, found.reach, found.looked_up) == (addresses, reach, bool(addresses))


def test_a_hosts_file_that_moves_localhost_away_is_believed(tmp_path, monkeypatch):
    file = tmp_path / "hosts"
    file.write_text("8.8.8.8 localhost\n")
    monkeypatch.setattr("annoloop.llm.hosts.hosts_file", lambda: file)
    with pytest.raises(LLMError, match="public address"):
        ask("http://localhost:9/v1")


def test_each_request_is_told_with_its_address_before_it_is_written(server):
    told = []

    def on_send(sent):
        told.append((sent, len(server.history)))

    endpoint = module.resolve(server.base_url)
    client = module.open_client(endpoint, key=None, timeout=5, workers=1, on_send=on_send)
    with client, module.asking_about({"input_hash": "abc"}):
        for _ in range(2):  # the second goes over the connection of the first
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert [before for _, before in told] == [0, 1]
    sent = told[0][0]
    assert (sent.address, sent.host, sent.reach) == ("127.0.0.1", "127.0.0.1", "loopback")
    assert sent.about == {"input_hash": "abc"} and sent.size > 0 and sent.at > 0


def test_the_address_told_is_the_one_that_took_the_connection(server):
    port = server.server.server_address[1]
    # Nothing listens on the first: a connection to it is refused and nothing is told of it.
    endpoint = module.Endpoint(
        f"http://two.test:{port}/v1", "two.test", port, ("127.9.9.9", "127.0.0.1"), "loopback"
    )
    told = []
    with module.open_client(endpoint, key=None, timeout=5, workers=1, on_send=told.append) as client:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert [(sent.address, sent.host) for sent in told] == [("127.0.0.1", "two.test")]


def test_what_cannot_be_recorded_is_not_sent(server):
    def on_send(_sent):
        raise LLMError("the record cannot be written")

    settings = ModelSettings(base_url=server.base_url, name="m", retries=3)
    model = OpenAIModel(settings, on_send=on_send)
    with pytest.raises(LLMError, match=r"^the record cannot be written$"):
        list(model.ask_all([("a", as_prompt("secret text"))]))
    assert server.history == []


def test_a_block_may_narrow_what_the_project_allows_but_not_widen_it(names, connected):
    names["llm.test"] = ["10.0.0.1"]
    for project, block in (("loopback", "public"), ("public", "loopback")):
        with pytest.raises(LLMError, match="allows loopback only"):
            model = {"base_url": "http://llm.test/v1", "name": "x", "allow_remote": block}
            list(annotate([Example("h", "t")], scheme=SCHEME, config={"model": model}, allow_remote=project))
    assert connected == []


def test_a_name_that_changes_its_address_after_the_check_is_not_followed(names, connected, server):
    port = server.server.server_address[1]
    names["llm.test"] = [["127.0.0.1"]] * 2 + [["8.8.8.8"]] * 20
    (result,) = ask(f"http://llm.test:{port}/v1", workers=1, allow_remote="private")
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


@pytest.mark.parametrize(
    "pasted", ["sk-proj-0123456789abcdef", "0123456789abcdef0123456789abcdef", "abcdef0123456789"]
)
def test_a_key_in_the_place_of_its_name_is_refused_and_not_repeated(names, pasted):
    names["llm.test"] = ["8.8.8.8"]
    with pytest.raises(LLMError, match="environment variable") as refused:
        ask("https://llm.test/v1", api_key_env=pasted, allow_remote="public")
    assert pasted not in "".join(traceback.format_exception(refused.value))


def test_a_foreign_model_that_repeats_a_key_puts_it_nowhere(monkeypatch):
    monkeypatch.setenv("SOME_API_TOKEN", "tok-0123456789")

    def fails(prompts):
        raise ValueError("refused: tok-0123456789")

    model = ForeignModel({"@llm_models": "test.Model.v1"})
    model._call = fails
    ((_, answer),) = model.ask_all([("a", as_prompt("secret text"))])
    assert answer.status == "failed" and "refused: …" in answer.reason


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


@pytest.mark.parametrize(
    "url",
    [
        "http://anna:sekret@localhost/v1",
        "http://:sekret@localhost/v1",
        "http://anna:sek/sekret@localhost/v1",
        "http://anna:a?sekret@localhost/v1",
        "anna:sekret@localhost",
        "ftp://sekret@host//v1",
        "http://localhost/v1?api-key=sekret",
        "http://localhost/v1#sekret",
        "http://[sekret@/v1",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(url):
    with pytest.raises(LLMError, match="base_url") as refused:
        module.resolve(url)
    assert "sekret" not in str(refused.value)
    assert "sekret" not in "".join(traceback.format_exception(refused.value))


def test_a_server_that_repeats_the_key_puts_it_nowhere(server, monkeypatch, caplog):
    monkeypatch.setenv("MY_KEY", "sk-mine-0123456789")
    caplog.set_level(logging.DEBUG)

    def repeats(status, **more):
        return lambda body: Reply(status=status, error="bad key sk-mine-0123456789, Bearer", **more)

    server.answer = repeats(400)
    (result,) = ask(server.base_url, api_key_env="MY_KEY")
    assert result.status == "failed" and "bad key …, Bearer" in result.reason
    server.answer = repeats(401)
    with pytest.raises(LLMError, match="bad key …") as refused:
        ask(server.base_url, api_key_env="MY_KEY")
    server.answer = lambda body: Reply(refusal="I know sk-mine-0123456789")
    cache = MemoryCache()
    (result,) = ask(server.base_url, api_key_env="MY_KEY", cache=cache)
    assert result.status == "refusal" and cache
    server.answer = lambda body: '{"label": "GOOD", "key": "sk-mine-0123456789"}'
    ask(server.base_url, api_key_env="MY_KEY", cache=cache)
    trace = "".join(traceback.format_exception(refused.value))
    for said in (str(refused.value), result.reason, str(list(cache.values())), caplog.text, trace):
        assert "sk-mine" not in said


def test_debug_logging_of_the_libraries_writes_no_text(server, monkeypatch, caplog):
    for name in ("openai", "httpcore", "httpcore2", "spacy_llm"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
        logging.getLogger(name).setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_LOG", "debug")
    assert ask(server.base_url)[0].status == "ok"
    assert "secret text" not in caplog.text and "Authorization" not in caplog.text


class Constructed(Exception):
    """Whoever raises this has been made."""


@pytest.fixture
def made():
    """Names of registered things that were constructed; taken out of the registries at the end."""
    from spacy_llm.registry import registry

    log = []

    def makes(name):
        def make(**_):
            log.append(name)
            raise Constructed(name)

        return make

    places = [(registry.llm_models, "test.Model.v1"), (registry.llm_queries, "test.Query.v1")]
    for place, name in places:
        place.register(name, func=makes(name))
    yield log
    for place, name in places:
        catalogue.REGISTRY.pop((*place.namespace, name), None)


@pytest.mark.parametrize(
    "nested",
    [
        {"normalizer": {"@llm_models": "test.Model.v1"}},
        {"normalizer": {"@llm_misc": "spacy.LowercaseNormalizer.v1", "er": {"@llm_models": "test.Model.v1"}}},
        {"listed": [{"@llm_models": "test.Model.v1"}]},
        {"normalizer": {"@llm_queries": "test.Query.v1"}},
        {"examples": {"@misc": "spacy.FewShotReader.v1", "path": {"@llm_models": "test.Model.v1"}}},
    ],
)
@pytest.mark.parametrize("allowed", ["loopback", "private"])
def test_a_model_nested_in_a_task_is_not_even_made(server, made, nested, allowed):
    config = {
        "model": {"base_url": server.base_url, "name": "fake"},
        "task": {"@llm_tasks": "spacy.TextCat.v3", **nested},
    }
    with pytest.raises(LLMError, match=r"llm -> task.*may send texts anywhere.*nothing was sent"):
        list(annotate([Example("h", "t")], scheme=SCHEME, config=config, allow_remote=allowed))
    with pytest.raises(LLMError, match="nothing was sent"):
        check_llm(config, allow_remote=allowed)
    assert made == [] and server.history == []


def test_under_public_a_nested_model_is_the_projects_own_choice(server, made):
    config = {
        "model": {"base_url": server.base_url, "name": "fake"},
        "task": {"@llm_tasks": "spacy.TextCat.v3", "normalizer": {"@llm_models": "test.Model.v1"}},
    }
    with pytest.raises(LLMError, match="cannot be made"):
        list(annotate([Example("h", "t")], scheme=SCHEME, config=config, allow_remote="public"))
    assert made == ["test.Model.v1"]


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


class Outside:
    """Every packet that was about to leave for elsewhere than this machine; none is let through."""

    def __init__(self):
        self.tried = []
        self.watching = False
        sys.addaudithook(self.look)  # it stays for the life of the process, asleep

    def look(self, event, args):
        if not self.watching or not event.startswith("socket."):
            return
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            address = args[1]
            if isinstance(address, tuple) and not address[0].startswith("127.") and address[0] != "::1":
                self.refuse(event, address[0])
        elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
            host = args[0].decode() if isinstance(args[0], bytes) else args[0]
            if host and not numeric(host):
                self.refuse(event, host)

    def refuse(self, event, where):
        self.tried.append((event, where))
        raise OSError(f"the test lets nothing out to {where}")


def numeric(host):
    try:
        socket.inet_aton(host)
    except OSError:
        return ":" in host
    return True


OUTSIDE = Outside()
ELSEWHERE = "http://203.0.113.9:3128"


@pytest.fixture
def outside(monkeypatch):
    """Hostile environment, and what tries to leave the machine in it."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY"):
        monkeypatch.setenv(name, ELSEWHERE)
        monkeypatch.setenv(name.lower(), ELSEWHERE)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_HOST", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.setenv(name, f"{ELSEWHERE}/v1")
    for name in (
        "OPENAI_API_KEY",
        "OPENAI_ORG_ID",
        "OPENAI_API_ORG",
        "OPENAI_PROJECT_ID",
        "ANTHROPIC_API_KEY",
    ):
        monkeypatch.setenv(name, "sk-secret")
    OUTSIDE.tried.clear()
    OUTSIDE.watching = True
    yield OUTSIDE.tried
    OUTSIDE.watching = False


@pytest.mark.parametrize(
    "url",
    [
        "http://203.0.113.9/v1",
        "https://203.0.113.9/v1",
        "http://10.0.0.1/v1",
        "http://169.254.169.254/v1",
        "http://0.0.0.0/v1",
        "http://0/v1",
        "http://3405803785/v1",
        "http://0xcb007109/v1",
        "http://203.113/v1",
        "http://[2001:db8::1]/v1",
        "http://[::ffff:203.0.113.9]/v1",
        "https://api.openai.com/v1",
        "http://localhost.example.org/v1",
        "http://127.0.0.1.nip.example/v1",
        "http://127.0.0.1@203.0.113.9/v1",
        "http://203.0.113.9#@127.0.0.1/v1",
        "http://127.0.0.1\\@203.0.113.9/v1",
        "http://203.0.113.9\\.localhost/v1",
        "http://１２７.0.0.1.example.org/v1",
        "http://xn--lcalhost-54a.example/v1",
        "http:///203.0.113.9/v1",
    ],
)
@pytest.mark.parametrize("wish", [{}, {"allow_remote": "public"}, {"allow_remote": "private"}])
def test_no_address_makes_a_packet_leave(outside, url, wish):
    model = {"base_url": url, "name": "x", "retries": 0, "timeout": 2, **wish}
    with pytest.raises(LLMError):
        list(annotate([Example("h", "secret text")], scheme=SCHEME, config={"model": model}))
    with pytest.raises(LLMError):
        check_llm({"model": model}, connect=True)
    assert outside == []


@pytest.mark.parametrize(
    "config",
    [
        {"model": {"@llm_models": name, "name": "x"}}
        for name in ("spacy.GPT-4.v3", "spacy.GPT-3-5.v3", "spacy.Claude-2.v2", "spacy.Command.v2")
    ]
    + [
        {"task": {"@llm_tasks": task, "normalizer": {"@llm_models": name}}}
        for task in ("spacy.TextCat.v3", "spacy.NER.v3", "spacy.Raw.v1")
        for name in ("spacy.GPT-4.v3", "spacy.Davinci.v2")
    ]
    + [
        {"task": {"@llm_tasks": "spacy.TextCat.v3", "prompt_examples": [{"@llm_models": "spacy.GPT-4.v3"}]}},
        {"task": {"@llm_tasks": "auto", "style": {"@llm_models": "spacy.GPT-4.v3"}}},
        {"model": {"base_url": {"@llm_models": "spacy.GPT-4.v3"}, "name": "x"}},
        {"model": {"base_url": "http://127.0.0.1:9/v1", "name": "x", "http_client": {"@misc": "x"}}},
    ],
)
def test_no_foreign_or_nested_model_makes_a_packet_leave(server, outside, config):
    whole = {"model": {"base_url": server.base_url, "name": "fake"}, **config}
    with pytest.raises(LLMError):
        list(annotate([Example("h", "secret text")], scheme=SCHEME, config=whole))
    assert outside == [] and server.history == []


def test_a_local_server_is_asked_and_nothing_else_whatever_the_environment_says(server, outside):
    for name in ("localhost", "127.0.0.1"):
        assert ask(server.base_url.replace("127.0.0.1", name))[0].status == "ok"
    assert outside == [] and len(server.history) == 2
    assert "sk-secret" not in str(server.headers)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_makes_a_packet_leave(server, outside, status):
    for target in (f"{ELSEWHERE}/v1", "//203.0.113.9/v1", "https://api.openai.com/v1/chat/completions"):
        server.answer = lambda body, t=target: Reply(status=status, headers={"Location": t})
        with pytest.raises(LLMError, match="redirect"):
            ask(server.base_url)
    assert outside == []


def test_a_name_that_changes_between_check_and_connection_makes_no_packet_leave(names, server, outside):
    port = server.server.server_address[1]
    for turns in range(4):
        names["llm.test"] = [["127.0.0.1"]] * turns + [["203.0.113.9"]] * 20
        with suppress(LLMError):
            ask(f"http://llm.test:{port}/v1", allow_remote="private", workers=1)
    assert outside == []


def test_the_whole_loop_at_its_defaults_sends_nothing_elsewhere(tmp_path, outside):
    rows = feedback(60)
    gold = write_rows(tmp_path / "gold.jsonl", rows)
    command = ["loop", "--oracle", str(gold), "--batch", "10", "--max-rounds", "1", "--yes"]
    with FakeLLM('{"label": "Aufzug"}') as server:
        project = small_project(tmp_path / "here", rows, server=server, gate="min_texts = 5")
        write_rows(project.folder / "examples.jsonl", [{"text": "Lift steht", "label": "Aufzug"}])
        assert CliRunner().invoke(app, [*command, str(project.folder)]).exit_code == 0
        assert server.history
        server.answer = lambda body: Reply(status=307, headers={"Location": f"{ELSEWHERE}/v1"})
        # Another prompt, so that the texts are asked about again.
        config = project.folder / "annoloop.cfg"
        said = config.read_text("utf8").replace("[llm.model]", "[llm]\ninclude_reason = true\n\n[llm.model]")
        config.write_text(said, encoding="utf8")
        again = CliRunner().invoke(app, ["evaluate", str(project.folder), "--yes"])
        assert isinstance(again.exception, LLMError) and "redirect" in str(again.exception)
    there = small_project(tmp_path / "there", rows, llm=f'"{ELSEWHERE}/v1"')
    refused = CliRunner().invoke(app, [*command, str(there.folder)])
    assert isinstance(refused.exception, LLMError) and "nothing was sent" in str(refused.exception)
    assert outside == []


def test_a_pipeline_of_spacy_with_our_model_sends_nothing_elsewhere(outside):
    import spacy

    nlp = spacy.blank("en")
    model = {"@llm_models": "annoloop.OpenAI.v1", "base_url": f"{ELSEWHERE}/v1", "name": "x"}
    task = {"@llm_tasks": "annoloop.TextCat.v1", "labels": ["GOOD", "BAD"]}
    nlp.add_pipe("llm", config={"model": model, "task": task})
    with pytest.raises(LLMError, match="nothing was sent"):
        nlp("secret text")
    assert outside == []


def test_the_watch_at_the_socket_would_see_it(outside):
    for url in ("http://203.0.113.9/v1", "http://llm.example.org/v1"):
        with suppress(LLMError):
            ask(url, allow_remote="public")
    httpx = module._httpx()
    with suppress(httpx.HTTPError):
        httpx.get("http://127.0.0.1:9/")
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", ("198.51.100.7", 53))
    seen = list(dict.fromkeys(outside))
    assert seen == [
        ("socket.connect", "203.0.113.9"),
        ("socket.getaddrinfo", "llm.example.org"),
        ("socket.sendto", "198.51.100.7"),
    ]
    assert outside.count(seen[0]) == 2  # the address itself, and the proxy of the environment
