"""The tokenizer of each language: spaCy's own, with fewer full stops left on the last word of a sentence.

German writes ordinals with a full stop ("3. Mai", "2. Stock"), so spaCy leaves it on every number, also on
"2024.", "B2." and "12,50." at the end of a sentence, and in nearly all languages on "GmbH." and "50€.". A
span that ends before such a stop is on no token border. The rules below split it off what can be neither an
ordinal nor an abbreviation. Where only the words around would tell ("§ 5." and other numbers of one or two
digits, "10.5.", initials as in "C."), it stays as spaCy has it.

They are suffix rules of spaCy's tokenizer, so a saved pipeline brings them along and needs nothing of ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.language import Language

_LETTER = r"[^\W\d_]"
_LOWER, _UPPER = "a-zß-öø-ÿ", "A-ZÀ-ÖØ-Þ"

# What stands before the stop, in fixed widths, as Python looks back; with a word where spaCy may leave it.
_NO_ORDINALS = (
    (rf"{_LETTER}\d", "B2."),
    (rf"{_LETTER}\d\d", "B12."),
    (rf"{_LETTER}[-–_/]\d", "F-1."),
    (rf"{_LETTER}[-–_/]\d\d", "F-16."),
    (r"\d,\d", "12,5."),
    (r"\d,\d\d", "12,50."),
    (r"\d\.0", "4.0."),
    (r"\d{4}[-–/]\d", "12345-0."),
    (r"\d{4}[-–/]\d\d", "2023/24."),
    (r"-\d\d-\d\d", "2024-11-28."),
)
_NO_ABBREVIATIONS = (
    (rf"[{_LOWER}][{_UPPER}]", "GmbH."),
    (rf"\d[{_UPPER}]", "12A."),
    (r"\d[$£¥\u20a0-\u20bf]", "50€."),
    (r"[³¼½¾]", "m³."),
)
_TIMES = ((r"\d:\d\d", "14:30."),)
_LONG_NUMBERS = ((r"\d{3}", "2024."), (r"\d\.\d\.\d\d", "8.1.24."), (r"\d\.\d\d\.\d\d", "28.11.24."))
_ORDINAL_YEARS = ("hu", "sr")
"""Languages that write years with a full stop inside the sentence, too: "2024. május"."""

# An address without its stop is one token, though with it spaCy may have divided it: "a:b@8.8.8.100".
_OCTETS = [rf"\.\d{{{one}}}\.\d{{{two}}}" for one in (1, 2, 3) for two in (1, 2, 3)]
_ADDRESSES = [rf"{octets}\.\d{{{last}}}" for octets in _OCTETS for last in (2, 3)]
_PORTS = [rf"[^\WA-Z_]:\d{{{digits}}}" for digits in (3, 4, 5)]
_SHORT_PORTS = [rf"\.\d{{{last}}}:\d\d" for last in (1, 2, 3)]


def blank(lang: str) -> Language:
    """A language's pipeline without components, for everything here that looks at tokens.

    Raises:
        ImportError: spaCy has no such language, or its tokenizer needs a package that is not installed.
    """
    import spacy

    nlp = spacy.blank(lang)
    split_stops(nlp)
    return nlp


@cache
def shared_blank(lang: str) -> Language:
    """The same `blank` for all who only read tokens: making one takes longer than reading a hundred texts.

    It is kept, and so are the words that it meets; whoever reads a whole corpus makes one of its own.
    """
    return blank(lang)


def split_stops(nlp: Language) -> bool:
    """Add the rules that are missing to a pipeline's tokenizer, in place; whether there were any.

    Each is added where spaCy's own rules leave the stop on a word like it. Every border between tokens stays
    one (but inside "<333", three hearts to spaCy). A tokenizer that does not go by such rules stays as it is.
    """
    from spacy.tokenizer import Tokenizer
    from spacy.util import compile_suffix_regex

    tokenizer = nlp.tokenizer
    if not isinstance(tokenizer, Tokenizer) or tokenizer.suffix_search is None:
        return False
    missing = [rule for rule, example in _rules(nlp.lang or "") if not tokenizer.find_suffix(example)]
    if missing:
        present = tokenizer.suffix_search.__self__.pattern
        tokenizer.suffix_search = compile_suffix_regex([f"(?:{present})", *missing]).search
    return bool(missing)


def _rules(lang: str) -> list[tuple[str, str]]:
    """Suffix rules, each with a word that it takes the stop off."""
    found = [(_stop_after(before), word) for before, word in (*_NO_ORDINALS, *_NO_ABBREVIATIONS)]
    found += [(_stop_after(before, _SHORT_PORTS), word) for before, word in _TIMES]
    if lang not in _ORDINAL_YEARS:
        found += [(_stop_after(before, (*_ADDRESSES, *_PORTS)), word) for before, word in _LONG_NUMBERS]
    return found


def _stop_after(before: str, unless: Iterable[str] = ()) -> str:
    # The stop comes first: most characters are none, and looking back takes longer.
    return rf"\.(?<={before}\.)" + "".join(rf"(?<!{one}\.)" for one in unless)


RULES = hashlib.blake2b(
    repr([_rules(lang) for lang in ("", *_ORDINAL_YEARS)]).encode(), digest_size=4
).hexdigest()
"""8 hex digits that name these rules: what was made with others has other tokens."""
