"""The report of a project: what was last judged, and all that stands behind it, as one HTML file."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from annoloop.errors import AnnoloopError
from annoloop.evaluation.gate import EXAMPLE, NOT_BLIND, SIMULATED
from annoloop.evaluation.leaderboard import headline
from annoloop.evaluation.report import (
    Bars,
    Block,
    Facts,
    Page,
    Paragraph,
    Section,
    Table,
    isolated,
    render_page,
)
from annoloop.evaluation.report_charts import Bar, CurveChart, CurvePoint, Level
from annoloop.evaluation.scores import over_seeds
from annoloop.project import Project
from annoloop.steps.evaluate import EVALUATION_FACT
from annoloop.steps.evidence.looks import PLAN_FACT, gate_terms
from annoloop.steps.evidence.pace import Curve, Pace, pace
from annoloop.steps.evidence.people_time import minutes_of_people
from annoloop.steps.evidence.report_errors import errors_section
from annoloop.steps.evidence.report_people import agreement_section, cost_section, minutes_shown
from annoloop.steps.evidence.standing import changed_since
from annoloop.steps.evidence.train_curve import MORE, TrainCurve, kept_curve
from annoloop.steps.llm.source import IMPORTED_FACT, why_no_llm
from annoloop.steps.sources import model_key, rules_source
from annoloop.steps.status import advice_on
from annoloop.steps.wheel import kept_wheel
from annoloop.types import SPLITS, Round

DECISIONS = {
    "beats_llm": "The model beats the LLM",
    "level": "The model is level with the LLM",
    "rules_suffice": "The rules suffice: no model is needed",
    "llm_ahead": "The LLM is still ahead of the model",
    "no_llm": "A model, and no LLM to compare it with",
    "refused": "No verdict yet",
}
GOOD = ("beats_llm", "level", "rules_suffice")
_PACKAGES = ("annoloop", "spacy", "spacy-llm", "scikit-learn", "numpy", "scipy")


@dataclass(frozen=True, slots=True)
class Reported:
    """Where the report is, and how many of the project's texts it quotes."""

    path: Path
    quoted: int


def report(project: Project, out: Path) -> Reported:
    """Write the report on what was last judged. No model runs, no LLM is asked, `out` is replaced whole.

    The texts it quotes, those with mistakes and those that people differ on, are dev and pool texts: held-out
    ones are never shown.

    Raises:
        AnnoloopError: nothing is judged yet, or `out` is a folder.
    """
    if out.is_dir():
        raise AnnoloopError(f"{out} is a folder, not a file", hint=f"name a file: -o {out / 'report.html'}")
    judged = project.store.fact(EVALUATION_FACT)
    if judged is None:
        raise AnnoloopError(
            f"{project.folder}: nothing is judged yet, so there is nothing to report",
            hint="judge first: annoloop evaluate PROJECT (annoloop loop PROJECT does so in each round)",
        )
    errors, quoted = errors_section(project, newer=_is_newer(project, judged))
    people, shown = agreement_section(project)
    figures, curve = pace(project), kept_curve(project)
    sections = (
        _leaderboard(project, judged),
        _curve(project, figures.curve, curve),
        _labels(judged),
        cost_section(project, figures),
        people,
        errors,
        _provenance(project, judged),
    )
    page = _page(project, judged, figures, [section for section in sections if section is not None])
    _write(render_page(page), out)
    return Reported(out, len(quoted | shown))


def _write(text: str, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(
        "w", encoding="utf8", newline="\n", dir=out.parent, prefix=f".{out.name}-", delete=False
    ) as file:
        try:
            file.write(text)
            file.close()
            # As any new file would be: a temporary one is closed to others.
            mask = os.umask(0)
            os.umask(mask)
            Path(file.name).chmod(0o666 & ~mask)
            Path(file.name).replace(out)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _page(project: Project, judged: Mapping[str, Any], figures: Pace, sections: Sequence[Section]) -> Page:
    section, verdict, held_out = project.settings.project, judged["verdict"], judged["held_out"]
    scores = {row["approach"]: row["score"] for row in judged["leaderboard"]}
    changed = changed_since(project, judged)
    following = f"Next: {advice_on(project, verdict['decision'], scores).rstrip('.')}."
    # A report goes to others: it quotes no training text.
    reasons = [line.partition(EXAMPLE) for line in verdict["reason"].replace(SIMULATED, "").splitlines()]
    lead = [f"{said}." if cut else said for said, cut, _ in reasons]
    again = f"Out of date, {changed}: annoloop evaluate PROJECT. What it said before:" if changed else ""
    lead = (
        [again, *lead, *_caveats(project, judged)]
        if changed
        else [*lead, following, *_caveats(project, judged)]
    )
    name = headline(project.scheme)
    tiles = [
        (f"{title}, {name}", f"{scores[approach]:.3f}")
        for approach, title in (("model", "Model"), ("llm", "LLM"), ("rules", "Rules"))
        if scores.get(approach) is not None
    ]
    tiles.append(("Texts labelled", f"{sum(figures.gold.values()):,}"))
    tiles += _time(minutes_of_people(figures))
    imported = project.store.fact(IMPORTED_FACT) is not None
    if not imported and figures.cost is not None and figures.cost.money is not None:
        tiles.append(("LLM, money", f"{figures.cost.money:,.2f}"))
    labels = f"{len(section.labels)} label{'s' * (len(section.labels) != 1)}"
    return Page(
        title=section.name,
        subtitle=f"{section.kind}, {labels}, language {section.lang}; judged "
        f"{judged['basis']['at'][:16].replace('T', ' ')} UTC on {_held_out(held_out['texts'])}",
        headline="To be judged again" if changed else _headline(verdict),
        good=verdict["decision"] in GOOD and not changed,
        lead=tuple(lead),
        figures=tuple(tiles),
        sections=tuple(sections),
    )


def _time(minutes: float | None) -> list[tuple[str, str]]:
    if minutes is None:
        return []
    hours = ("Hours of people", f"{minutes / 60:,.1f}")
    return [hours if minutes >= 60 else ("Minutes of people", minutes_shown(minutes))]


def _held_out(texts: int) -> str:
    return f"{texts:,} held-out text{'s' * (texts != 1)}"


def _headline(verdict: Mapping[str, Any]) -> str:
    # Evaluations kept before there were words for what a level model saves have none.
    said = verdict.get("said") or ""
    return (
        said.capitalize()
        if verdict["decision"] == "level" and "," in said
        else DECISIONS[verdict["decision"]]
    )


def _caveats(project: Project, judged: Mapping[str, Any]) -> list[str]:
    """What a reader must know before believing the figures."""
    held_out = judged["held_out"]
    simulated, assisted = held_out["simulated"], held_out["assisted"]
    found = []
    if simulated:
        found.append(
            f"{simulated:,} of {held_out['texts']:,} held-out answers {'was' if simulated == 1 else 'were'} "
            "simulated from gold labels, not given by a person."
        )
    if assisted and NOT_BLIND not in judged["verdict"]["reason"]:
        found.append(f"{_held_out(assisted)} {'was' if assisted == 1 else 'were'} not labelled blind.")
    if _is_newer(project, judged):
        found.append("There is a newer model that is not judged yet: annoloop evaluate PROJECT.")
    return found


def _newest(project: Project) -> Round | None:
    trained = [record for record in project.store.rounds() if record.model is not None]
    return trained[-1] if trained else None


def _is_newer(project: Project, judged: Mapping[str, Any]) -> bool:
    """Whether the newest model is not the one that was judged."""
    newest, key = _newest(project), judged["basis"]["model"]
    return newest is not None and model_key(newest.number, newest.fingerprint) != key


def _leaderboard(project: Project, judged: Mapping[str, Any]) -> Section:
    name, rows = headline(project.scheme), judged["leaderboard"]
    head = ("approach", name, "95 %", "precision", "recall", "macro-F", "words/s", "MB", "cost of 1,000")
    cells = tuple(_cells(row) for row in rows)
    bars = tuple(
        Bar(row["name"], row["approach"], row["score"], _band(row), f"{row['score']:.3f}")
        for row in rows
        if row["score"] is not None
    )
    notes = [f"{isolated(row['name'])}: {row['note']}" for row in rows if row["note"]]
    blocks: list[Block] = [Bars(bars, f"{name} on the held-out texts; the line is the 95 % interval.")]
    blocks = [*blocks, Table(head, cells)] if cells else [Paragraph("No approach could be judged.")]
    blocks += [Paragraph(note) for note in (*notes, *judged["notes"])]
    return Section("Leaderboard", tuple(blocks))


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    band = _band(row)
    return (
        row["name"],
        shown(row["score"]),
        f"{band[0]:.3f} to {band[1]:.3f}" if band else "–",
        *(shown(row[key]) for key in ("precision", "recall", "macro_f")),
        shown(row["words_per_second"], ",.0f"),
        shown(row["megabytes"], ",.1f"),
        shown(row["cost"], ",.2f"),
    )


def shown(value: float | None, form: str = ".3f") -> str:
    """A figure, or a dash where it was not measured."""
    return "–" if value is None else format(value, form)


def _band(row: Mapping[str, Any]) -> tuple[float, float] | None:
    return (row["interval"][0], row["interval"][1]) if row["interval"] else None


def _labels(judged: Mapping[str, Any]) -> Section | None:
    best = next((row for row in judged["leaderboard"] if row["approach"] == "model"), None)
    best = best or next(iter(judged["leaderboard"]), None)
    if best is None or len(best["per_label"]) < 2:
        return None
    of = sorted(best["per_label"].items(), key=lambda item: -(item[1]["tp"] + item[1]["fn"]))
    rows = tuple(
        (label, *(shown(one[key]) for key in ("f", "precision", "recall")), f"{one['tp'] + one['fn']:,}")
        for label, one in of
    )
    table = Table(
        ("label", "F", "precision", "recall", "to find"), rows, f"{isolated(best['name'])}, held-out texts"
    )
    return Section("Label by label", (table, *_deltas(judged)))


def _deltas(judged: Mapping[str, Any]) -> list[Block]:
    """The model against the LLM; nothing where not both were judged, or judged before this was kept."""
    deltas = judged.get("deltas") or []
    if not deltas:
        return []
    rows = tuple(
        (
            one["label"],
            shown(one["model"]),
            shown(one["llm"]),
            f"{one['delta']:+.3f}{'*' if one['marked'] else ''}",
            f"{one['interval'][0]:+.3f} to {one['interval'][1]:+.3f}",
        )
        for one in deltas
    )
    caption = "F of model less F of LLM; * is beyond chance (p <= .05, Holm-corrected over the labels)."
    return [Table(("label", "model", "LLM", "difference", "95 %"), rows, caption)]


def _curve(project: Project, rounds: Curve | None, drawn: TrainCurve | None) -> Section | None:
    blocks: list[Block] = []
    name = headline(project.scheme)
    if rounds is not None and len(rounds.points) > 1:
        points = tuple(CurvePoint(p.gold_texts, p.score, p.interval) for p in rounds.points)
        levels = tuple(Level(b.name, b.approach, b.score) for b in rounds.baselines)
        where = rounds.split.replace("_", "-")
        caption = f"Round by round on the {where} texts, with 95 % intervals."
        blocks.append(CurveChart(points, (), levels, "texts with gold", name, caption))
    if drawn is not None:
        newest = _newest(project)
        blocks += _drawn(drawn, joined=newest is not None and newest.joined is not None)
    return Section("Learning curve", tuple(blocks)) if blocks else None


def _drawn(drawn: TrainCurve, *, joined: bool) -> list[Block]:
    points = tuple(CurvePoint(*point) for point in drawn.points)
    steps = [(count, told) for count, told in drawn.ahead if count <= 3 * drawn.forecast.seen]
    ahead = tuple(CurvePoint(count, told.value, (told.low, told.high)) for count, told in steps)
    reach = drawn.advice.reach
    levels = () if reach is None else (Level(f"target, {drawn.target_name}:", "llm", reach.target),)
    where = f"{drawn.scores.texts:,} dev texts"
    caption = f"Recipe {drawn.recipe} on shuffled parts of the gold, on {where}, and its forecast."
    chart = CurveChart(points, ahead, levels, "texts with gold", drawn.headline, caption, joined=False)
    blocks: list[Block] = [chart, Paragraph(drawn.advice.reason)]
    gain = drawn.next_labels
    brings = f"{MORE} more texts would bring {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})."
    blocks.append(Paragraph(brings))
    hours = drawn.advice.hours
    if hours is not None:
        blocks.append(Paragraph(f"To the target: {hours[0]:.1f} to {hours[1]:.1f} hours of one person."))
    if joined:
        blocks.append(
            Paragraph("This curve is of the recipe alone, without the rules that joined the model.")
        )
    if not drawn.current:
        blocks.append(Paragraph("Gold or settings have changed since this curve was drawn.", warning=True))
    return blocks


def _provenance(project: Project, judged: Mapping[str, Any]) -> Section:
    store, training, basis = project.store, project.settings.training, judged["basis"]
    counts, wheel = store.example_counts(), kept_wheel(project)
    alpha, margin = gate_terms(project)
    pairs = [
        ("Judged", basis["at"]),
        *_model(project, basis["model"]),
        ("Seed", str(training.seed)),
        ("Rules", _rules(project, judged)),
        ("LLM", _llm(project, judged)),
        ("Held-out texts, hash", basis["held_out_texts"]),
        ("Texts", ", ".join(f"{split.replace('_', '-')} {counts[split]:,}" for split in SPLITS)),
        ("Left out as near-duplicates", f"{store.excluded_count():,}"),
        ("Gate", f"{_gate_rounds(project)}, alpha {alpha}, margin {margin}"),
        ("Wheel", Path(wheel).name if wheel else "none"),
        ("Versions", ", ".join(_versions())),
        ("Machine", f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"),
    ]
    again = Paragraph("Repeat: annoloop evaluate PROJECT, then annoloop report PROJECT.")
    return Section("Where the figures come from", (Facts(tuple(pairs)), again))


def _model(project: Project, key: str | None) -> list[tuple[str, str]]:
    """What the judged model was made by and of: a newer one has a recipe and gold of its own."""
    made = next(
        (
            record
            for record in project.store.rounds()
            if key and model_key(record.number, record.fingerprint) == key
        ),
        None,
    )
    if made is None:
        unknown = "not kept: its round was trained again since" if key else "none"
        return [("Model", key or "none"), ("Recipe", unknown), ("Gold behind the model", unknown)]
    # The model that is judged has learned once more, from the dev gold too.
    dev = f" and {made.dev.texts:,} dev" if made.dev else ""
    pairs = [("Model", key or "none"), ("Recipe", made.recipe or "none")]
    pairs.append(("Gold behind the model", f"{made.gold_texts:,} pool{dev} texts"))
    return [*pairs, ("Recipe on dev", over_seeds(made.dev_seeds))] if len(made.dev_seeds) > 1 else pairs


def _rules(project: Project, judged: Mapping[str, Any]) -> str:
    rules = rules_source(project)
    name = next((row["name"] for row in judged["leaderboard"] if row["approach"] == "rules"), None)
    if name is None:
        return "none judged" if rules else "none"
    return rules.key if rules and rules.name == name else f"{name}, changed since"


def _gate_rounds(project: Project) -> str:
    fixed = project.store.fact(PLAN_FACT)
    rounds = "1 round" if fixed == 1 else f"{fixed} rounds"
    return "rounds not fixed yet" if fixed is None else f"{rounds}, fixed when the first was judged"


def _llm(project: Project, judged: Mapping[str, Any]) -> str:
    why = why_no_llm(project)
    name = next((row["name"] for row in judged["leaderboard"] if row["approach"] == "llm"), None)
    if why or name is None:
        return f"none: {why}" if why else "none judged"
    place = project.settings.llm.model.get("base_url")
    imported = project.store.fact(IMPORTED_FACT) is not None
    return name if imported or place is None else f"{isolated(name)}, {place}"


def _versions() -> list[str]:
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found
