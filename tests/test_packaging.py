"""Packaging: what is built installs where annoloop is not, and says there what it says here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annoloop.errors import PackagingError
from annoloop.hashing import input_hash
from annoloop.packaging.apply import apply, apply_with_ray
from annoloop.packaging.export import build_wheel, package_name
from annoloop.packaging.verify import verify_wheel
from annoloop.training.predict import MAKING, predict
from annoloop.training.train import train
from annoloop.types import Annotation, DevGold, Example, Gold, LabelScheme, PoolGold

SCHEME = LabelScheme("textcat", ("Heizung", "Bahn"))
TEXTS = [f"Die {word} in Haus {n} ist kaputt" for n, word in enumerate(("Heizung", "Therme") * 4)]
TEXTS += [f"Der {word} nach Köln um {n} ist spät 🚆" for n, word in enumerate(("Zug", "Bus") * 4)]
ODD = ["", "\r\n", "İ Heizung", "👩‍👩‍👧 Zug"]


def gold(split: type[PoolGold] | type[DevGold]) -> tuple[Gold, ...]:
    return tuple(
        Gold(Example(input_hash(text), text, split=split.split), Annotation((SCHEME.labels[number // 8],)))
        for number, text in enumerate(TEXTS)
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(
        PoolGold(gold(PoolGold)),
        DevGold(gold(DevGold)),
        scheme=SCHEME,
        lang="de",
        seed=0,
        out=tmp_path_factory.mktemp("project") / "model",
        recipes=["textcat_linear"],
    ).path


@pytest.fixture(scope="module")
def wheel(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    evidence = [folder / "scores.json", folder / "LICENSE"]
    for file in evidence:
        file.write_text("{}")
    before = {file: file.read_bytes() for file in model.rglob("*") if file.is_file()}
    made = build_wheel(
        model,
        folder / "out",
        name="Rückmeldung: Züge",
        version="1.2.0",
        lang="de",
        meta={"annoloop": {"gold": "abc", "llm": None}, "license": "MIT"},
        evidence=evidence,
    )
    assert {file: file.read_bytes() for file in model.rglob("*") if file.is_file()} == before
    assert [file.name for file in made.parent.iterdir()] == [made.name]
    return made


def test_the_wheel_holds_the_evidence_and_neither_gold_nor_annoloop(wheel: Path) -> None:
    assert wheel.name == "de_rueckmeldung_zuege-1.2.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        inside = "de_rueckmeldung_zuege/de_rueckmeldung_zuege-1.2.0"
        meta = json.loads(packed.read(f"{inside}/meta.json"))
        about = packed.read("de_rueckmeldung_zuege-1.2.0.dist-info/METADATA").decode()
    assert meta["annoloop"] == {"gold": "abc", "llm": None}
    assert (meta["lang"], meta["name"], meta["version"]) == ("de", "rueckmeldung_zuege", "1.2.0")
    assert f"{inside}/evidence/scores.json" in names
    assert f"{inside}/LICENSE" in names
    assert not [name for name in names if MAKING in name.split("/") or name.endswith(".spacy")]
    requirements = [line for line in about.splitlines() if line.startswith("Requires-Dist")]
    assert len(requirements) == 1
    assert requirements[0].startswith("Requires-Dist: spacy")


def test_the_installed_package_says_what_the_model_says(model: Path, wheel: Path) -> None:
    texts = [*TEXTS, *ODD]
    expected = [prediction.annotation for prediction in predict(model, texts, scheme=SCHEME)]
    report = verify_wheel(wheel, texts, expected, scheme=SCHEME, environment="shared")
    assert report.ok, report
    assert report.environment == "shared"
    wrong = [Annotation(("Bahn",)), *expected[1:]]
    report = verify_wheel(wheel, texts, wrong, scheme=SCHEME, environment="shared")
    assert (report.ok, report.differing) == (False, (0,))
    assert expected[0] != wrong[0]


@pytest.mark.slow
def test_the_wheel_installs_with_its_requirements_from_the_registry(model: Path, wheel: Path) -> None:
    expected = [prediction.annotation for prediction in predict(model, TEXTS, scheme=SCHEME)]
    report = verify_wheel(wheel, TEXTS, expected, scheme=SCHEME)
    assert report.ok, report
    assert report.note


def test_apply_keeps_the_order_on_two_cores(model: Path) -> None:
    texts = [*TEXTS, *ODD] * 3
    said = list(apply(model, iter(texts), scheme=SCHEME))
    assert said == [prediction.annotation for prediction in predict(model, texts, scheme=SCHEME)]
    assert list(apply(model, texts, scheme=SCHEME, n_process=2, batch_size=5)) == said
    assert {label for annotation in said for label in annotation.labels} == set(SCHEME.labels)


def test_apply_needs_nothing_imported_before(model: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from annoloop.packaging.apply import apply
from annoloop.types import LabelScheme
scheme = LabelScheme("textcat", ("Heizung", "Bahn"))
print([a.labels for a in apply(Path({str(model)!r}), ["Therme kaputt"], scheme=scheme)])
assert not [name for name in sys.modules if name.startswith("annoloop.training")]
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "[('Heizung',)]\n", done.stderr


def test_what_cannot_be_packaged_says_so(tmp_path: Path, model: Path) -> None:
    with pytest.raises(PackagingError, match="no trained pipeline"):
        build_wheel(tmp_path, tmp_path, name="x", version="1.0.0", lang="de")
    with pytest.raises(PackagingError, match="no version"):
        build_wheel(model, tmp_path, name="x", version="first try", lang="de")
    with pytest.raises(PackagingError, match="normal form"):
        build_wheel(model, tmp_path, name="x", version="01.0", lang="de")
    with pytest.raises(PackagingError, match="no wheel"):
        verify_wheel(tmp_path / "none.whl", [], [], scheme=SCHEME)
    (tmp_path / "bad-1.0.0-py3-none-any.whl").write_bytes(b"not a zip file")
    with pytest.raises(PackagingError, match="pip install failed"):
        verify_wheel(tmp_path / "bad-1.0.0-py3-none-any.whl", [], [], scheme=SCHEME, environment="shared")
    with pytest.raises(PackagingError, match="no package"):
        next(apply("no_such_package", ["text"], scheme=SCHEME))


def test_a_pipeline_whose_component_nobody_brings_is_one_line(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    config = (tmp_path / "model" / "config.cfg").read_text(encoding="utf8")
    changed = re.sub(r'factory = "[^"]*textcat[^"]*"', 'factory = "brought_by_no_one"', config)
    (tmp_path / "model" / "config.cfg").write_text(changed, encoding="utf8")
    with pytest.raises(PackagingError, match="brought_by_no_one") as told:
        next(apply(tmp_path / "model", ["text"], scheme=SCHEME))
    assert told.value.hint == "install what the pipeline requires"


@given(name=st.text(max_size=30), lang=st.sampled_from(["de", "en", "xx"]))
def test_any_name_gives_a_valid_package_name(name: str, lang: str) -> None:
    made = package_name(name, lang)
    assert made.isidentifier()
    assert made.isascii()
    assert made == made.lower()
    assert "__" not in made
    assert made.startswith(f"{lang}_")
    assert not made.endswith("_")
    assert package_name(made, lang) == made


def test_names_keep_what_can_be_kept() -> None:
    assert package_name("2. Straße", "de") == "de_p2_strasse"
    assert package_name("fashion_brands", "en") == "en_fashion_brands"
    assert package_name("日本語", "ja") == "ja_model"


def test_the_wheel_does_not_carry_the_words_of_the_training_texts(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        strings = next(name for name in archive.namelist() if name.endswith("strings.json"))
        kept = set(json.loads(archive.read(strings)))
    words = {word for row in gold(PoolGold) for word in row.example.text.split() if len(word) > 5}
    assert words - set(SCHEME.labels) and words & kept == words & set(SCHEME.labels)


@pytest.mark.slow
def test_ray_gives_the_same_answers_in_the_same_order(model: Path) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    texts = [f"{row.example.text} {number}" for number in range(3) for row in gold(DevGold)]
    alone = list(apply(model, texts, scheme=SCHEME))
    assert list(apply_with_ray(model, texts, scheme=SCHEME, batch_size=5)) == alone
