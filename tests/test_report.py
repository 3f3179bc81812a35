"""The report: what it tells of a real project, and that no text of anybody becomes part of its HTML."""

from __future__ import annotations

import html
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reported import RULES, answer, judged_project
from small_project import expert, feedback, settings, small_project

from annoloop.errors import AnnoloopError
from annoloop.evaluation.report import Page, Paragraph, Quote, Section, Table, render_page, shortened
from annoloop.evaluation.report_charts import CurveChart, CurvePoint, Level, curve_svg
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.ask import answer_with, ask_blind
from annoloop.steps.compare import ask_missing
from annoloop.steps.evaluate import evaluate
from annoloop.steps.evidence.report import report
from annoloop.steps.evidence.report_errors import errors_section
from annoloop.steps.evidence.report_people import agreement_section
from annoloop.steps.sources import ask_source, rules_source
from annoloop.types import Annotation, Example, Span

EVIL = '</blockquote></title><script>alert(1)</script><img src=x onerror=alert(1)> & "quoted" \''
ALLOWED = {"html", "head", "meta", "title", "style", "body", "main", "header", "h1", "h2", "p", "section"}
ALLOWED |= {"dl", "div", "dt", "dd", "nav", "a", "table", "caption", "thead", "tbody", "tr", "th", "td"}
ALLOWED |= {"figure", "figcaption", "i", "svg", "path", "text", "circle", "polyline", "polygon", "ul", "li"}
ALLOWED |= {"blockquote", "mark", "span"}


class Read(HTMLParser):
    """Tags, attributes, and the text as it is shown."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.shown = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.shown += data


def sound(text: str) -> Read:
    """Read it and refuse what could run or load something."""
    found = Read(text)
    assert found.open == []
    assert found.tags <= ALLOWED
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in ("src", "srcset")]
    assert all(value.startswith("#s") for name, value in found.attributes if name == "href")
    assert "url(" not in text and "@import" not in text
    return found


def page(*blocks, title="t"):
    return Page(title, title, title, False, (title,), ((title, title),), (Section(title, blocks),))


@given(st.text())
def test_any_text_is_shown_as_it_is_and_nothing_else(text):
    spans = (Span(0, len(text), "A"),) if text else ()
    blocks = (
        Paragraph(text),
        Table((text, text), ((text, text),), text),
        Quote(text, spans, (), ((text, text),)),
    )
    found = sound(render_page(page(*blocks, title=text)))
    kept = "".join("\ufffd" if (ord(c) < 32 and c not in "\t\n\r") or ord(c) == 127 else c for c in text)
    kept = "".join("\ufffd" if "\ud800" <= c <= "\udfff" or c in "\ufffe\uffff" else c for c in kept)
    assert found.shown.count(kept) >= 9 or not kept


@given(st.text(min_size=1, max_size=20), st.data())
def test_marks_cover_the_spans_also_where_they_cross(text, data):
    place = st.integers(0, len(text))
    pairs = data.draw(st.lists(st.tuples(place, place).filter(lambda p: p[0] < p[1]), max_size=4))
    spans = tuple(Span(start, end, "A") for start, end in pairs)
    text_html = render_page(page(Quote(text, spans[::2], spans[1::2], ())))
    sound(text_html)
    marked = html.unescape(text_html.partition('<p dir="auto">')[2].partition("</p>")[0])
    assert marked.count("<mark") >= min(len(set(spans)), 1)


def test_a_long_text_is_cut_around_its_first_span():
    text = "a" * 1000 + "İ😀" + "b" * 1000
    cut, start, end = shortened(text, [Span(1000, 1002, "X")], most=400)
    assert len(cut) == 400 and "İ😀" in cut and text[start:end] == cut
    assert shortened("short", [], most=400) == ("short", 0, 5)
    assert shortened(text, [Span(2001, 2002, "X")], most=400)[2] == len(text)


@pytest.mark.parametrize("scores", [(0.0, 0.0), (1.0, 1.0), (0.55, 0.95), (0.5, 0.5)])
@pytest.mark.parametrize("texts", [(1, 2), (30, 200_000)])
def test_curves_stay_within_their_picture(scores, texts):
    points = tuple(CurvePoint(n, s, (s, s)) for n, s in zip(texts, scores, strict=True))
    ahead = (CurvePoint(texts[1], scores[1], (0.0, 1.0)), CurvePoint(3 * texts[1], 1.0, (0.0, 1.0)))
    chart = CurveChart(points, ahead, (Level(EVIL, "llm", 0.4),), EVIL, EVIL, EVIL)
    found = sound(curve_svg(chart))
    for name, value in found.attributes:
        if name in ("cx", "cy"):
            assert 0 <= float(value) <= 400
    assert EVIL in found.shown


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    return judged_project(tmp_path_factory.mktemp("judged") / "p")


def test_the_report_tells_all_of_a_judged_project(judged, tmp_path):
    made = report(judged, tmp_path / "deep" / "report.html")
    text = made.path.read_text(encoding="utf8")
    shown = sound(text).shown
    for word in (
        "No verdict yet",
        "Leaderboard",
        "model of round 2",
        "always",
        "Learning curve",
        "Round by round",
        "forecast, 95 % interval",
        "Label by label",
        "Cost and time",
        "oracle (simulated)",
        "were simulated",
        "Agreement of people",
        "Ada and Bo",
        "75%",
        "Mistakes",
        "Against the model of the round before",
        "Where the figures come from",
        judged.store.rounds()[-1].fingerprint,
    ):
        assert word in shown, word
    held_out = [example.text for example in judged.store.examples(split="held_out")]
    assert not [one for one in held_out if len(one) > 20 and one in shown]
    assert made.quoted == text.count("<blockquote>") > 0
    assert str(judged.folder) not in text
    assert [path.name for path in made.path.parent.iterdir()] == ["report.html"]
    with pytest.raises(AnnoloopError, match="is a folder"):
        report(judged, tmp_path / "deep")
    assert [path.name for path in tmp_path.rglob("*")] == ["deep", "report.html"]


def test_what_is_quoted_of_a_long_text_is_where_the_mistake_is(tmp_path):
    text = "Acme " + "und so weiter " * 400 + "Berlin"
    project = Project.create(tmp_path / "p", kind="ner", labels=["A", "B"], lang="de")
    project.store.add_examples([Example(input_hash(text), text, split="dev")])
    right, missed = Span(0, 4, "A"), Span(len(text) - 6, len(text), "B")
    task = project.task(project.store.examples()[0], number=0)
    project.store.add_tasks([task])
    said = Annotation(spans=(right, missed))
    project.store.save_answers([answer(task.example, task, said, "anna", 10**15)])
    project.patterns.write_text('{"label": "A", "pattern": "Acme"}\n', encoding="utf8")
    ask_source(project, rules_source(project), [task.example])
    section, quoted = errors_section(project)
    (quote,) = [block for block in section.blocks if isinstance(block, Quote)]
    assert quoted == {task.example.input_hash}
    assert "Berlin" in quote.text and len(quote.text) <= 400 and "Acme" not in quote.text


def test_texts_that_people_differ_on_are_quoted_in_part(tmp_path):
    settings(tmp_path / "p", labels=("A", "B"), review="overlap = 1.0")
    project = Project.open(tmp_path / "p")
    examples = [Example(input_hash(text), text) for text in (f"Wort{n} " * 20_000 for n in range(3))]
    project.store.add_examples(examples)
    project.store.add_tasks([project.task(example, number=1) for example in examples])
    for place, task in enumerate(project.store.tasks(round=1)):
        for who, label in (("ada", "A"), ("bo", "B")):
            said = Annotation((label,))
            project.store.save_answers([answer(task.example, task, said, who, 10**15 + place)])
    section, quoted = agreement_section(project)
    quotes = [block for block in section.blocks if isinstance(block, Quote)]
    assert len(quotes) == len(quoted) == 3
    assert all(len(one.text) <= 400 and one.lines[0][0] == "shown" for one in quotes)


def test_a_newer_model_makes_the_report_say_so(judged, tmp_path):
    record = judged.store.rounds()[-1]
    import dataclasses

    judged.store.save_round(dataclasses.replace(record, fingerprint="0" * 16))
    try:
        shown = sound(report(judged, tmp_path / "r.html").path.read_text(encoding="utf8")).shown
        assert "newer model that is not judged yet" in shown
    finally:
        judged.store.save_round(record)
    assert "newer model" not in report(judged, tmp_path / "r.html").path.read_text(encoding="utf8")


def test_nothing_judged_is_refused_and_nothing_is_written(tmp_path):
    project = small_project(tmp_path / "p", feedback(30))
    with pytest.raises(AnnoloopError, match="nothing is judged yet") as told:
        report(project, tmp_path / "r.html")
    assert "annoloop evaluate" in told.value.hint
    assert not (tmp_path / "r.html").exists()


def test_texts_labels_and_names_of_anybody_are_only_shown(tmp_path):
    label = "<b>Aufzug</b>&amp;"
    rows = [{"text": f"{EVIL} Aufzug {n} İ😀 {row['text']}"} for n, row in enumerate(feedback(60))]
    for row in rows:
        start = row["text"].index("Aufzug")
        row["spans"] = [{"start": start, "end": start + 6, "label": label}]
    project = small_project(tmp_path / "p", rows, kind="ner", labels=[label, "Z"])
    rule = RULES.replace('"Aufzug"', f'"{label}"').replace("aufzug|aufzüge", "nichts|quoted")
    project.patterns.write_text(rule, encoding="utf8")
    oracle = expert(project, rows)
    ask_blind(project, known=oracle)
    answer_with(project, oracle, 0)
    example = project.store.examples(split="pool")[0]
    task = project.task(example, number=1)
    project.store.add_tasks([task])
    who = "<script>alert('ada')</script>"
    project.store.save_answers(
        [answer(example, task, Annotation(), who, 1), answer(example, task, Annotation(), "Bo", 2)]
    )
    evaluate(project)
    ask_missing(project)
    made = report(project, tmp_path / "r.html")
    found = sound(made.path.read_text(encoding="utf8"))
    assert made.quoted and who in found.shown and label in found.shown and EVIL in found.shown


def test_a_project_without_any_approach_is_reported_as_such(tmp_path):
    rows = feedback(40)
    project = small_project(tmp_path / "p", rows)
    ask_blind(project, known=expert(project, rows))
    answer_with(project, expert(project, rows), 0)
    evaluate(project)
    shown = sound(report(project, tmp_path / "r.html").path.read_text(encoding="utf8")).shown
    assert "No approach could be judged" in shown and "rounds not fixed yet" in shown
    assert "None" not in shown and "Mistakes" not in shown
