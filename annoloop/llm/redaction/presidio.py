"""Microsoft's presidio as a finder of personal data: the extra `presidio`. Nothing of it leaves the machine.

By itself presidio fetches a spaCy pipeline and, to judge e-mail addresses and URLs, a list of domains. Here
it gets a pipeline that is there already, and those two kinds are found by our own finders.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from annoloop.corpus.tokenizer import blank
from annoloop.errors import LLMError
from annoloop.llm.redaction.kinds import find_emails, find_urls

_LEAST = 0.4
"""Score from which presidio is believed: below lie patterns that fit any number."""

_NOT_PERSONAL = frozenset(("DATE_TIME", "NRP"))
_ASKS_FOR_A_LIST = ("EmailRecognizer", "UrlRecognizer")
_GERMAN = (
    "DeTaxIdRecognizer",
    "DePassportRecognizer",
    "DeIdCardRecognizer",
    "DeSocialSecurityRecognizer",
    "DeHealthInsuranceRecognizer",
)


class PresidioFinder:
    """Ranges of what presidio takes for personal data, in one language.

    Names of people and places are found where a spaCy pipeline that marks entities is installed for the
    language (the largest counts), card and identity numbers always.

    Raises:
        LLMError: the extra is not installed, or presidio cannot be set up.
    """

    def __init__(self, lang: str) -> None:
        if importlib.util.find_spec("presidio_analyzer") is None:
            raise LLMError(
                "privacy -> redact: presidio is not installed; nothing was sent",
                hint='pip install "annoloop[presidio]"',
            )
        self._lang = lang
        self.pipeline = installed_pipeline(lang)
        try:
            self._analyzer = _analyzer(lang, self.pipeline)
        except Exception as error:  # its set-up may raise anything
            raise LLMError(f"privacy -> redact: presidio cannot be set up for {lang!r}: {error}") from error

    @property
    def version(self) -> str:
        """What shapes its findings: presidio's version and the pipeline's."""
        named = f"{self.pipeline} {version(self.pipeline)}" if self.pipeline else "no pipeline"
        return f"presidio {version('presidio-analyzer')} for {self._lang}, {named}"

    def __call__(self, text: str) -> Iterator[tuple[int, int]]:
        """Ranges of code points."""
        yield from find_emails(text)
        yield from find_urls(text)
        for found in self._analyzer.analyze(text=text, language=self._lang, score_threshold=_LEAST):
            if found.entity_type not in _NOT_PERSONAL:
                yield found.start, found.end


def installed_pipeline(lang: str) -> str | None:
    """The largest pipeline of spaCy's own for a language that is installed; None where there is none."""
    for kind in ("web", "news"):
        for size in ("trf", "lg", "md", "sm"):
            name = f"{lang}_core_{kind}_{size}"
            if importlib.util.find_spec(name) is not None:
                return name
    return None


def _analyzer(lang: str, pipeline: str | None) -> Any:
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class LocalEngine(SpacyNlpEngine):  # type: ignore[misc]
        """An engine over a pipeline that is there: presidio's own would fetch one."""

        def load(self) -> None:
            """Take it."""
            nlp = spacy.load(pipeline) if pipeline else blank(lang)
            self.nlp = {lang: nlp}

    engine = LocalEngine(models=[{"lang_code": lang, "model_name": pipeline or "blank"}])
    engine.load()
    registry = RecognizerRegistry(supported_languages=[lang])
    registry.load_predefined_recognizers(languages=[lang], nlp_engine=engine)
    kept = [one for one in registry.recognizers if type(one).__name__ not in _ASKS_FOR_A_LIST]
    registry.recognizers = [*kept, *_added(lang, {type(one).__name__ for one in kept})]
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[lang])


def _added(lang: str, there: set[str]) -> list[Any]:
    """Recognizers that presidio leaves out by default although they hold in this language."""
    from presidio_analyzer import predefined_recognizers

    wanted = ("CreditCardRecognizer", "CryptoRecognizer", *(_GERMAN if lang == "de" else ()))
    made = []
    for name in wanted:
        recognizer = getattr(predefined_recognizers, name, None)  # older versions lack some
        if recognizer is not None and name not in there:
            made.append(recognizer(supported_language=lang))
    return made
