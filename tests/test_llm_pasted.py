"""spacy-llm configs pasted into annoloop.cfg: understood, or refused by the name of what would be ignored."""

import json
import re
import shutil
import textwrap
from importlib.metadata import metadata
from pathlib import Path

import pytest
from fake_llm import FakeLLM

from annoloop.errors import AnnoloopError, BlindnessError, SettingsError
from annoloop.llm.prepare import prepare
from annoloop.project import Project
from annoloop.settings.load import load_settings
from annoloop.steps.add import add
from annoloop.steps.llm.source import llm_config, llm_source
from annoloop.types import Annotation, Example, Span

NER_V3 = """
[paths]
examples = "shown/examples.yml"

[nlp]
lang = "en"
pipeline = ["llm"]
batch_size = 128

[components]

[components.llm]
factory = "llm"
save_io = true

[components.llm.task]
@llm_tasks = "spacy.NER.v3"
labels = TOOL,PLACE
description = Tools are things to work with,
    not the people who do.

[components.llm.task.label_definitions]
TOOL = "Something to work with, e.g. hammer, saw"

[components.llm.task.examples]
@misc = "spacy.FewShotReader.v1"
path = "${paths.examples}"

[components.llm.task.normalizer]
@misc = "spacy.LowercaseNormalizer.v1"

[components.llm.cache]
@llm_misc = "spacy.BatchCache.v1"
path = "local-cached"
batch_size = 3

[components.llm.model]
@llm_models = "annoloop.OpenAI.v1"
base_url = "http://127.0.0.1:9/v1"
name = "fake"
"""
EXAMPLES = """
- text: The hammer lies in Rome.
  spans:
    - text: hammer
      is_entity: true
      label: TOOL
      reason: is a tool
    - text: lies
      is_entity: false
      label: ==NONE==
      reason: is a verb
"""
ROW = {"text": "My saw is in Oslo.", "spans": []}


@pytest.fixture
def server():
    with FakeLLM() as fake:
        yield fake


def settings_of(folder: Path, pasted: str, *, kind="ner", labels=("TOOL", "PLACE"), lang="en"):
    folder.mkdir(parents=True, exist_ok=True)
    project = (
        f'[project]\nname = "p"\nkind = "{kind}"\nlabels = {json.dumps(list(labels))}\nlang = "{lang}"\n'
    )
    (folder / "annoloop.cfg").write_text(project + pasted, encoding="utf8")
    return load_settings(folder)


def asked(folder: Path, pasted: str, server: FakeLLM, text: str = ROW["text"], **project):
    """What the pasted LLM says of a text, with our own model in place of the one documented."""
    model = (
        f'[\\1.model]\n@llm_models = "annoloop.OpenAI.v1"\nbase_url = "{server.base_url}"\nname = "fake"\n'
    )
    changed = re.sub(r"^\[(components\.\w+)\.model\]\n(?:(?!\[).*\n?)*", model, pasted, flags=re.MULTILINE)
    assert changed != pasted
    settings_of(folder, changed, **project)
    (folder / "texts.jsonl").write_text(json.dumps({"text": text}) + "\n", encoding="utf8")
    opened = Project.open(folder)
    add(opened, [folder / "texts.jsonl"], split="pool")
    source = llm_source(opened)
    ((_, annotation, detail),) = source.predict(opened.store.examples())
    assert detail["status"] == "ok", detail
    return annotation


def shown(folder: Path, words: str = EXAMPLES) -> None:
    (folder / "shown").mkdir(parents=True, exist_ok=True)
    (folder / "shown" / "examples.yml").write_text(words, encoding="utf8")


def test_a_pasted_component_is_the_llm_block(tmp_path):
    llm = settings_of(tmp_path, NER_V3).llm
    assert llm.task["@llm_tasks"] == "spacy.NER.v3" and llm.task["examples"]["path"] == "shown/examples.yml"
    assert llm.task["description"] == "Tools are things to work with,\nnot the people who do."
    assert llm.model["base_url"] == "http://127.0.0.1:9/v1" and llm.examples == "examples.jsonl"


def test_a_pasted_config_is_asked_with_its_examples_from_the_project_folder(server, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    folder = tmp_path / "p"
    shown(folder)
    server.answer = lambda body: "1. saw | True | TOOL | a tool\n2. Oslo | True | PLACE | a city"
    annotation = asked(folder, NER_V3, server)
    assert annotation == Annotation(spans=(Span(3, 6, "TOOL"), Span(13, 17, "PLACE")))
    prompt = server.asked()[0]
    assert (
        "The hammer lies in Rome." in prompt and "not the people who do" in prompt and "e.g. hammer" in prompt
    )
    # Other examples are another prompt: what was said before is not its answer.
    project = Project.open(folder)
    before = llm_source(project).key
    shown(folder, EXAMPLES.replace("Rome", "Bonn"))
    assert llm_source(project).key != before
    # Where the project lies is not.
    moved = tmp_path / "moved"
    project.store.close()
    shutil.copytree(folder, moved)
    shown(moved)
    assert llm_source(Project.open(moved)).key == before


def test_examples_of_a_pasted_config_are_never_texts_to_be_judged_by(server, tmp_path):
    shown(tmp_path)
    settings_of(tmp_path, NER_V3.replace("http://127.0.0.1:9/v1", server.base_url))
    project = Project.open(tmp_path)
    rows = [{"text": "The hammer lies in Rome."}, {"text": "My saw."}]
    for row, split in zip(rows, ("held_out", "pool"), strict=True):
        path = tmp_path / f"{split}.jsonl"
        path.write_text(json.dumps(row) + "\n", encoding="utf8")
        add(project, [path], split=split)
    with pytest.raises(BlindnessError, match="The hammer lies"):
        list(llm_source(project).predict(project.store.examples(split="pool")))
    assert not server.history


def readme_config() -> str:
    """The config of spacy-llm's own README, as installed."""
    package = metadata("spacy-llm")
    words = package.get_payload() or package["Description"]
    return re.search(r"```ini\n(\[nlp\].+?)```", words, flags=re.DOTALL)[1]


def documented(module: str, fixture: str) -> tuple[str, str | None]:
    """A config of spacy-llm's own, as installed, and the name of its file of examples."""
    import spacy_llm

    source = (Path(spacy_llm.__file__).parent / "tests" / "tasks" / f"{module}.py").read_text(encoding="utf8")
    body = re.search(rf'def {fixture}\(\):.*?return f?"""\n(.*?)"""', source, flags=re.DOTALL)[1]
    path = re.search(r'\{str\(.*?"examples" / "([^"]+)".*\}', body)
    if path:
        body = body.replace(path[0], f'"{path[1]}"')
    return textwrap.dedent(body), path and path[1]


def test_the_config_of_spacy_llms_readme_works(server, tmp_path):
    server.answer = lambda body: "INSULT"
    labels = ("COMPLIMENT", "INSULT")
    said = asked(tmp_path, readme_config(), server, "You?", kind="textcat", labels=labels)
    assert said == Annotation(labels=("INSULT",))
    assert "exclusive" in server.asked()[0] and "COMPLIMENT" in server.asked()[0]


TABLE = "1. Jean | True | PER | a name\n2. Oslo | True | LOC | a city"
DOCUMENTED = [
    ("test_ner", "fewshot_cfg_string_v3", "ner", "PER,ORG,LOC", TABLE),
    ("test_ner", "fewshot_cfg_string_v3_lds", "ner", "PER,ORG,LOC", TABLE),
    ("test_spancat", "fewshot_cfg_string", "spancat", "PER,ORG,LOC,DESTINATION", TABLE),
    ("test_textcat", "zeroshot_cfg_string_v3_lds", "textcat_multilabel", "Recipe", "POS"),
]


@pytest.mark.parametrize(("module", "fixture", "kind", "labels", "answer"), DOCUMENTED)
def test_the_configs_that_spacy_llm_is_tested_with_work(
    server, tmp_path, module, fixture, kind, labels, answer
):
    import spacy_llm

    pasted, examples = documented(module, fixture)
    if examples:
        shutil.copy(Path(spacy_llm.__file__).parent / "tests" / "tasks" / "examples" / examples, tmp_path)
    server.answer = lambda body: answer
    said = asked(tmp_path, pasted, server, "Jean is in Oslo.", kind=kind, labels=labels.split(","))
    if kind == "textcat_multilabel":
        assert said == Annotation(labels=("Recipe",))
    else:
        assert said == Annotation(spans=(Span(0, 4, "PER"), Span(11, 15, "LOC")))


def test_a_task_by_its_factory_alone_has_spacys_default(tmp_path):
    pasted = '[components.x]\nfactory = "llm_spancat"\n[components.x.model]\n@llm_models = "spacy.Dolly.v1"\n'
    llm = settings_of(tmp_path, pasted, kind="spancat").llm
    assert llm.task == {"@llm_tasks": "spacy.SpanCat.v3"} and llm.model == {"@llm_models": "spacy.Dolly.v1"}


def test_the_model_of_the_documentation_is_refused_until_it_is_changed(tmp_path):
    settings_of(tmp_path, NER_V3.replace("annoloop.OpenAI.v1", "spacy.GPT-4.v3"))
    with pytest.raises(AnnoloopError, match="may send texts anywhere"):
        llm_source(Project.open(tmp_path))


def test_settings_of_llm_stand_beside_a_pasted_component(tmp_path):
    llm = settings_of(tmp_path, "[llm]\nmax_characters = 900\n" + NER_V3).llm
    assert llm.max_characters == 900 and llm.task["@llm_tasks"] == "spacy.NER.v3"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda s: s.replace('lang = "en"', 'lang = "de"'),
            "nlp -> lang is 'de', the project's lang is 'en'",
        ),
        (lambda s: s.replace('["llm"]', '["llm", "ner"]'), r"there is no \[components.ner\]"),
        (lambda s: s + '[components.s]\nfactory = "sentencizer"\n', "components -> s: .* 'sentencizer'"),
        (lambda s: s + '[components.b]\nfactory = "llm"\n', "2 LLM components, llm, b"),
        (lambda s: s.replace('"llm"\nsave', '"llm_rel"\nsave'), "components -> llm: .*'llm_rel'"),
        (lambda s: s + '[llm.task]\n@llm_tasks = "auto"\n', r"both \[llm.task\] and the pasted"),
        (lambda s: s + '[llm.model]\nname = "x"\n', r"both \[llm.model\] and the pasted"),
        (lambda s: s + "[initialize.components.llm]\nn_prompt_examples = 3\n", "n_prompt_examples would not"),
        (lambda s: s + '[corpora.dev]\npath = "x"\n', r"\[corpora\] is a section of spaCy"),
        (lambda s: s + '[training]\ndev_corpus = "x"\n', r"\[training\] is a section of spaCy"),
        (lambda s: s.replace("batch_size = 128", "after_creation = 1"), "nlp -> after_creation would not"),
        (lambda s: s.replace("batch_size = 128", 'tokenizer = {"@tokenizers":"x"}'), "nlp -> tokenizer"),
        (lambda s: s.replace("${paths.examples}", "${paths.other}"), "a variable cannot be filled in"),
        (lambda s: s.replace("TOOL,PLACE", "TOOL,PERSON"), "PERSON not in the project"),
        (lambda s: s.replace("TOOL,PLACE", "TOOL"), "PLACE missing"),
        (lambda s: s.replace("TOOL,PLACE", '["TOOL", "DISH", "X"]'), "DISH, X not in the project"),
        (lambda s: s.replace("save_io", "foo"), "foo: not a setting of spacy-llm"),
    ],
)
def test_what_would_be_ignored_is_refused_by_name_in_one_line(tmp_path, change, expected):
    changed = change(NER_V3)
    assert changed != NER_V3
    with pytest.raises(SettingsError, match=expected) as caught:
        settings_of(tmp_path, changed)
    assert "\n" not in str(caught.value)


def test_what_spacy_writes_by_itself_is_understood(tmp_path):
    more = (
        "\n[system]\nseed = 0\n[initialize]\nvectors = null\ninit_tok2vec = null\n"
        "[initialize.components]\n[initialize.tokenizer]\n"
    )
    pasted = NER_V3.replace(
        "batch_size = 128", 'tokenizer = {"@tokenizers":"spacy.Tokenizer.v1"}\ndisabled = []'
    )
    assert settings_of(tmp_path, pasted + more).llm.task["@llm_tasks"] == "spacy.NER.v3"


@pytest.mark.parametrize("path", ["null", '""'])
def test_examples_that_are_not_there_are_said_so(server, tmp_path, path):
    settings_of(
        tmp_path,
        NER_V3.replace('"shown/examples.yml"', path).replace("http://127.0.0.1:9/v1", server.base_url),
    )
    project = Project.open(tmp_path)
    (tmp_path / "t.jsonl").write_text(json.dumps(ROW), encoding="utf8")
    add(project, [tmp_path / "t.jsonl"], split="pool")
    with pytest.raises(AnnoloopError, match=r"llm -> task: spacy\.NER\.v3 cannot be made"):
        list(llm_source(project).predict(project.store.examples()))
    assert not server.history


@pytest.mark.parametrize(
    ("kind", "task", "expected"),
    [
        ("ner", "spacy.TextCat.v3", "use spacy.NER.v3"),
        ("spancat", "spacy.NER.v3", "use spacy.SpanCat.v3"),
        ("textcat", "spacy.REL.v1", "use spacy.TextCat.v3"),
    ],
)
def test_a_task_that_asks_another_question_is_refused(server, tmp_path, kind, task, expected):
    pasted = f'[llm.task]\n@llm_tasks = "{task}"\n[llm.model]\nbase_url = "{server.base_url}"\nname = "m"\n'
    settings_of(tmp_path, pasted, kind=kind)
    project = Project.open(tmp_path)
    with pytest.raises(AnnoloopError, match=f"does not fit a project of kind {kind}") as caught:
        list(llm_source(project).predict([]))
    assert caught.value.hint == expected


def test_our_own_task_may_name_the_labels_as_in_a_pipeline(tmp_path):
    task = '[components.llm.task]\n@llm_tasks = "annoloop.NER.v1"\nlabels = PLACE, TOOL\n'
    settings_of(tmp_path, f'[components.llm]\nfactory = "llm"\n{task}[components.llm.model]\nname = "m"\n')
    project = Project.open(tmp_path)
    assert llm_config(project)["task"]["labels"] == "PLACE, TOOL"
    config = {**llm_config(project), "model": {"base_url": "http://[::1]:9/v1", "name": "m"}}
    ready = prepare(scheme=project.scheme, config=config)
    (prompt,) = ready.prompts([Example("a", "A saw")])
    assert "- TOOL" in prompt
