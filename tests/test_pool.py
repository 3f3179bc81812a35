"""Large pools: features on the disk that survive kills, and rounds that look closely at few texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_project import write_rows

from annoloop.hashing import input_hash
from annoloop.oracle import Oracle
from annoloop.project import Project
from annoloop.selection.pool import PoolFeatures
from annoloop.selection.proxy import Proxy
from annoloop.steps import ask, pool
from annoloop.steps.add import add
from annoloop.steps.ask import answer_with, open_round
from annoloop.steps.pool import by_lot, pool_features, shortlist
from annoloop.types import Annotation, Example, Gold, LabelScheme, PoolGold

SCHEME = LabelScheme("textcat", ("FOOD", "TRAIN"))
ODD = ["", "🙂", "İstanbul e\u0301té", "a\r\nb", "שלום עולם", "列車が遅れた", "#1 ?!"]


def texts_about(count: int) -> list[tuple[str, str]]:
    """Texts of two categories, told apart by their words."""
    rows = []
    for number in range(count):
        label = SCHEME.labels[number % 2]
        words = "soup bread taste kitchen" if label == "FOOD" else "rail late platform ticket"
        rows.append((f"{words.split()[number % 4]} {words.split()[number // 2 % 4]} note {number}", label))
    return rows


def gold_of(rows: list[tuple[str, str]]) -> PoolGold:
    return PoolGold(
        tuple(Gold(Example(input_hash(t), t, split="pool"), Annotation((label,))) for t, label in rows)
    )


def filled(folder: Path, texts: list[str], portion: int = 3) -> PoolFeatures:
    kept = PoolFeatures(folder)
    rows = list(enumerate(texts, start=1))
    kept.add([rows[i : i + portion] for i in range(0, len(rows), portion)], workers=1, on_kept=lambda _: None)
    return kept


def test_they_rank_as_the_proxy_does(tmp_path: Path) -> None:
    rows = texts_about(200)
    texts = [text for text, _ in rows]
    filled(tmp_path, texts, portion=64)
    found = PoolFeatures(tmp_path).probabilities(gold_of(rows[:20]), scheme=SCHEME, seed=0)
    expected = Proxy(texts).probabilities(gold_of(rows[:20]), scheme=SCHEME, seed=0)
    assert found is not None and expected is not None
    assert np.allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.97


def test_added_at_once_or_in_parts_they_are_the_same(tmp_path: Path) -> None:
    rows = texts_about(30)
    texts = [*ODD, *(text for text, _ in rows)]
    whole = filled(tmp_path / "whole", texts, portion=100)
    parts = filled(tmp_path / "parts", texts, portion=4)
    assert whole.numbers.tolist() == parts.numbers.tolist() == list(range(1, len(texts) + 1))
    one, other = (kept.probabilities(gold_of(rows[:10]), scheme=SCHEME, seed=0) for kept in (whole, parts))
    assert one is not None and other is not None
    assert np.allclose(one, other, atol=1e-6)


def test_what_a_killed_process_left_behind_does_not_count(tmp_path: Path) -> None:
    rows = texts_about(24)
    texts = [text for text, _ in rows]
    expected = filled(tmp_path / "whole", texts).probabilities(gold_of(rows[:8]), scheme=SCHEME, seed=0)
    kept = filled(tmp_path / "cut", texts[:12])
    for name in ("rows", "names", "lengths", "columns", "values"):
        with (tmp_path / "cut" / name).open("ab") as file:
            file.write(b"half a portion")
    kept = PoolFeatures(tmp_path / "cut")
    assert len(kept.numbers) == 12
    later = list(enumerate(texts, start=1))[12:]
    kept.add([later], workers=1, on_kept=lambda _: None)
    found = PoolFeatures(tmp_path / "cut").probabilities(gold_of(rows[:8]), scheme=SCHEME, seed=0)
    assert found is not None and expected is not None
    assert np.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("damage", ["state", "values", "version"])
def test_damaged_ones_are_begun_anew(tmp_path: Path, damage: str) -> None:
    filled(tmp_path, ["soup", "rail"])
    if damage == "state":
        (tmp_path / "state.json").write_text("{", encoding="utf8")
    elif damage == "values":
        (tmp_path / "values").write_bytes(b"")
    else:
        state = (tmp_path / "state.json").read_text(encoding="utf8")
        (tmp_path / "state.json").write_text(state.replace('"version": 2', '"version": 0'), encoding="utf8")
    kept = PoolFeatures(tmp_path)
    assert not len(kept.numbers)
    kept.add([[(1, "soup")]], workers=1, on_kept=lambda _: None)
    assert PoolFeatures(tmp_path).numbers.tolist() == [1]


def probabilities(kept: PoolFeatures, rows: list[tuple[str, str]]) -> np.ndarray:
    found = kept.probabilities(gold_of(rows[:8]), scheme=SCHEME, seed=0)
    assert found is not None
    return found


def test_weights_that_are_kept_are_those_of_the_rows(tmp_path: Path) -> None:
    rows = texts_about(24)
    texts = [*ODD, *(text for text, _ in rows)]
    expected = probabilities(filled(tmp_path / "whole", texts), rows)
    # Added to after a ranking: rarity and lengths of all rows are others then.
    kept = filled(tmp_path / "parts", texts[:12])
    assert len(probabilities(kept, rows)) == 12
    kept.add([list(enumerate(texts, start=1))[12:]], workers=1, on_kept=lambda _: None)
    assert np.array_equal(probabilities(PoolFeatures(tmp_path / "parts"), rows), expected)
    # Other texts, as many as before, where the store was laid anew.
    other = ["kitchen bread", *texts[1:]]
    kept.forget()
    kept.add([list(enumerate(other, start=1))], workers=1, on_kept=lambda _: None)
    anew = probabilities(PoolFeatures(tmp_path / "parts"), rows)
    assert np.array_equal(anew, probabilities(filled(tmp_path / "other", other), rows))
    assert not np.array_equal(anew, expected)
    # The same texts in another order.
    kept.forget()
    kept.add([list(enumerate(other[::-1], start=1))], workers=1, on_kept=lambda _: None)
    turned = probabilities(PoolFeatures(tmp_path / "parts"), rows)
    assert np.allclose(turned, anew[::-1], atol=1e-6)


@pytest.mark.parametrize("damage", [b"", b"PK half of it", None])
def test_weights_that_are_damaged_or_gone_are_made_anew(tmp_path: Path, damage: bytes | None) -> None:
    rows = texts_about(24)
    expected = probabilities(filled(tmp_path, [text for text, _ in rows]), rows)
    place = tmp_path / "weighing.npz"
    place.unlink() if damage is None else place.write_bytes(damage)
    assert np.array_equal(probabilities(PoolFeatures(tmp_path), rows), expected)
    assert place.stat().st_size > 100
    assert not list(tmp_path.glob("*.new*"))


@given(st.permutations(range(40)), st.integers(0, 40))
def test_the_lot_goes_by_the_texts_not_by_their_order(order: list[int], count: int) -> None:
    hashes = [input_hash(f"text {number}") for number in range(40)]
    drawn = [hashes[row] for row in by_lot(hashes, count, (0, 1))]
    again = [hashes[order[row]] for row in by_lot([hashes[at] for at in order], count, (0, 1))]
    assert drawn == again
    assert len(set(drawn)) == count


def test_the_lot_is_even() -> None:
    hashes = [input_hash(f"text {number}") for number in range(200)]
    times = np.zeros(200)
    for seed in range(400):
        times[by_lot(hashes, 20, (seed, 1))] += 1
    # 40 expected, standard deviation 6: five of them, for 200 texts.
    assert times.min() >= 10 and times.max() <= 70


def large(folder: Path, count: int) -> tuple[Project, list[tuple[str, str]]]:
    config = Project.create(folder, kind="textcat", labels=list(SCHEME.labels)).folder / "annoloop.cfg"
    config.write_text(f'{config.read_text("utf8")}\n[selection]\nstrategy = "margin"\n', encoding="utf8")
    project = Project.open(folder)
    rows = texts_about(count)
    project.store.add_examples(Example(input_hash(text), text, split="pool") for text, _ in rows)
    return project, rows


def test_a_large_pool_is_ranked_by_kept_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "LOOKED_AT", 100)
    monkeypatch.setattr(pool, "BY_LOT", 50)
    project, rows = large(tmp_path / "p", 300)
    # One that is like neither category: the closest call of all.
    mixed = "soup rail bread platform taste late kitchen ticket"
    project.store.add_examples([Example(input_hash(mixed), mixed, split="pool")])
    expert = Oracle([(text, Annotation((label,))) for text, label in rows], scheme=SCHEME)
    first = open_round(project, 1, batch=20, source=None)
    assert first.strategy == "kmeans_start"
    assert len(first.tasks) == 20
    answer_with(project, expert, 1)
    earlier = {task.example.text for task in project.store.tasks(round=1)}
    assert mixed not in earlier
    second = open_round(project, 2, batch=5, source=None)
    assert second.strategy == "margin"
    asked = {task.example.text for task in project.store.tasks(round=2)}
    assert len(asked) == 5 and mixed in asked and not asked & earlier
    assert (project.pool_features / "state.json").is_file()


def test_texts_that_come_later_are_added_alone(tmp_path: Path) -> None:
    project, _ = large(tmp_path / "p", 12)
    told: list[tuple[int, int]] = []
    pool_features(project, on_progress=lambda _, done, total: told.append((done, total)))
    assert told[-1] == (12, 12)
    told.clear()
    pool_features(project, on_progress=lambda _, done, total: told.append((done, total)))
    assert not told
    project.store.add_examples([Example(input_hash(t), t, split="pool") for t in ("new one", "new two")])
    assert len(pool_features(project, on_progress=lambda _, d, t: told.append((d, t))).numbers) == 14
    assert told[0] == (12, 14)


def test_another_store_in_the_same_folder_is_found_out(tmp_path: Path) -> None:
    project, rows = large(tmp_path / "p", 40)
    pool_features(project)
    project.store.close()
    for path in project.folder.glob("project.sqlite*"):
        path.unlink()
    other = Project.open(project.folder)
    other.store.add_examples(
        Example(input_hash(text), text, split="pool") for text, _ in reversed(texts_about(60)[40:])
    )
    told: list[tuple[int, int]] = []
    kept = pool_features(other, on_progress=lambda _, done, total: told.append((done, total)))
    assert told[-1] == (20, 20)
    whole = filled(tmp_path / "anew", [eg.text for eg in other.store.examples(split="pool")])
    one, two = (found.probabilities(gold_of(rows[:10]), scheme=SCHEME, seed=0) for found in (kept, whole))
    assert one is not None and two is not None
    assert np.allclose(one, two, atol=1e-6)


def words(number: int) -> str:
    """Words of letters alone: figures are all the same to the features."""
    draw = np.random.default_rng(number)
    return " ".join("".join(draw.choice(list("abcdefghijklmnop"), 6)) for _ in range(8))


def test_a_label_without_gold_is_sought_by_its_name_in_a_large_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "LOOKED_AT", 100)
    monkeypatch.setattr(pool, "BY_LOT", 10)
    monkeypatch.setattr(pool, "SHORTLISTED", 2)
    project = Project.create(tmp_path / "p", kind="textcat", labels=["Lift", "Stairs", "Rooftop"])
    texts = [*(words(n) for n in range(300)), *(f"{words(n)} rooftop garden" for n in range(300, 303))]
    project.store.add_examples(Example(input_hash(text), text, split="pool") for text in texts)
    open_round(project, 1, batch=6, source=None, seek=["Rooftop"])
    asked = [task.example.text for task in project.store.tasks(round=1)]
    assert sum("rooftop" in text for text in asked) >= 2


def test_equal_doubts_of_a_large_pool_do_not_go_by_who_came_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "BY_LOT", 5)
    monkeypatch.setattr(pool, "SHORTLISTED", 1)
    texts, lists = [words(n) for n in range(200)], []
    for place, order in enumerate((texts, texts[::-1])):
        project = Project.create(tmp_path / str(place), kind="textcat", labels=["Lift", "Stairs"])
        project.store.add_examples(Example(input_hash(text), text, split="pool") for text in order)
        rows = [
            {"text": f"alpha beta {n}{w}", "label": "Lift" if n % 2 else "Stairs"}
            for n, w in enumerate("abcd")
        ]
        add(project, [write_rows(tmp_path / "gold.jsonl", rows)], gold=True, split="pool")
        found = shortlist(
            project, project.store.unasked("pool"), wanted=("margin",), seek=(), batch=20, seed=(0, 1)
        )
        lists.append((set(found[0]), found[1]))
        project.store.close()
    assert lists[0] == lists[1]
