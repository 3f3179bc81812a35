"""What errors and long work say on the page: no commands, and in German where it is known."""

from __future__ import annotations

import pytest

from annoloop.errors import AnnoloopError
from annoloop.review.pages.told import in_words, told


@pytest.mark.parametrize(
    ("hint", "english", "german"),
    [
        ("train one: annoloop train PROJECT", "Start", "Start"),
        (
            "label some: annoloop review PROJECT, or let annoloop loop PROJECT prepare a batch",
            "Label",
            "Labeln",
        ),
        ("name the column with --text-column", "another column", "andere Spalte"),
        ("install it: pip install 'annoloop[team]'", "whoever runs", "Person"),
    ],
)
def test_an_error_advises_what_the_page_offers(hint, english, german) -> None:
    error = AnnoloopError("it is so", hint=hint)
    for lang, words in (("en", english), ("de", german)):
        line = told(error, lang)
        assert line.startswith("it is so (") and words in line
        assert "annoloop " not in line and "--" not in line and "pip" not in line


def test_other_hints_and_details_stay() -> None:
    assert (
        told(AnnoloopError("x.csv, line 3: odd", hint="save it anew"), "de")
        == "x.csv, line 3: odd (save it anew)"
    )
    assert told(AnnoloopError("odd"), "en") == "odd"


def test_work_tells_in_the_pages_language() -> None:
    assert in_words("model of round 2 reads", "de") == "Das Modell der Runde 2 liest"
    assert (
        in_words("training ner_rules: 0.512 on dev, 14 s", "de")
        == "Das Modell lernt (ner_rules): 0.512 nach 14 s"
    )
    assert in_words("model of round 2 reads", "en") == "model of round 2 reads"
    said = "42 texts of round 3: they wait for an expert. Label them: annoloop review /a/b"
    assert "annoloop" not in in_words(said, "en")
