"""Where a text holds what names a person: e-mail addresses, IBANs, phone numbers, URLs, IP addresses, names.

Each finder takes a text and yields half-open ranges of code points, which may overlap. Punctuation at an edge
does no harm: masks leave it as it is. All take time linear in the text, whatever it holds.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

Range = tuple[int, int]

# What ends an address in running text. Whatever else stands in it may belong to it: umlauts, emoji, marks.
_ENDS = r"\s<>()\[\]{}\",;@"
_EMAIL = re.compile(rf"(?<![^{_ENDS}:])[^{_ENDS}:]+@[^{_ENDS}:/?#]+")

_URL_CHARACTERS = r"[^\s<>\"]"
_TOP = "com|org|net|edu|gov|info|biz|eu|io|de|at|ch|fr|nl|pl|cz|dk|se|fi|uk|ca|au|app|dev"
_URLS = (
    re.compile(rf"(?<![A-Za-z0-9+.-])[A-Za-z0-9+.-]*://{_URL_CHARACTERS}+"),
    re.compile(rf"(?<![\w.@-])www\.{_URL_CHARACTERS}+", re.IGNORECASE),
    re.compile(
        rf"(?<![\w.@-])(?:[\w-]+\.)+(?:(?:{_TOP})(?![\w-])(?:[/:?#]{_URL_CHARACTERS}*)?|[^\W\d_]{{2,24}}/{_URL_CHARACTERS}+)",
        re.IGNORECASE,
    ),
)

_GAP = r"[\s./()–-]{0,3}"
# Each is looked for at every place, so that a number cannot hide behind the tail of another one.
_PHONES = (
    re.compile(rf"(?=((?:\+|(?<!\w)00){_GAP}[1-9](?:{_GAP}\d){{6,17}}\d*))"),
    re.compile(rf"(?<!\d)(?=(\(?0[1-9]\d{{1,4}}\)?(?:{_GAP}\d){{3,12}}\d*))"),
    re.compile(r"(?<!\w)(?=((?:\(\d{3}\)\s?|\d{3}[-.\s])\d{3}[-.\s]\d{4}(?!\d)))"),
    re.compile(
        rf"(?<![^\W_])(?:tel|telefon|fon|phone|mobil|mobile|handy|fax|call|ruf)\b[^\w\n]{{0,4}}(?=(\d(?:{_GAP}\d){{4,}}))",
        re.IGNORECASE,
    ),
)

_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)", re.ASCII)
_IPV6 = re.compile(
    r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}(?:%\w+)?(?![\w:])", re.ASCII
)

_IBAN = re.compile(r"(?<![A-Za-z0-9])(?=([A-Za-z]{2}[0-9]{2}(?:[\s.-]{0,2}[A-Za-z0-9]){11,30}))")
_IBAN_LENGTHS = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18
FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20
LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24
SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
"""
"""Countries of the IBAN registry (ISO 13616), each with the length of its numbers."""


def find_emails(text: str) -> Iterator[Range]:
    """Anything of the form something@something, in any script."""
    for found in _EMAIL.finditer(text):
        yield found.span()


def find_urls(text: str) -> Iterator[Range]:
    """Addresses with a scheme, with www, and bare domains of common endings or with a path."""
    for pattern in _URLS:
        for found in pattern.finditer(text):
            yield found.span()


def find_phones(text: str) -> Iterator[Range]:
    """Numbers with +49 or 0049, German ones with an area code, American ones, and any after "Tel."."""
    for pattern in _PHONES:
        for found in pattern.finditer(text):
            yield found.span(1)


def find_ips(text: str) -> Iterator[Range]:
    """IPv4 and IPv6 addresses that are valid ones."""
    for pattern in (_IPV4, _IPV6):
        for found in pattern.finditer(text):
            if _is_ip(found[0]):
                yield found.span()


def _is_ip(said: str) -> bool:
    if not any(character.isalnum() for character in said):
        return False
    # Leading zeros are no reason to let an address through.
    plain = re.sub(r"(?<![0-9A-Fa-f:])0+(?=\d)", "", said) if ":" not in said else said
    try:
        ipaddress.ip_address(plain)
    except ValueError:
        return False
    return True


def find_ibans(text: str) -> Iterator[Range]:
    """Account numbers whose check digits fit (ISO 7064, mod 97-10), also in groups."""
    for found in _IBAN.finditer(text):
        candidate = found[1]
        places = [place for place, one in enumerate(candidate) if one.isalnum()]
        country = candidate[:2].upper()
        known = re.search(rf"\b{country}(\d+)", _IBAN_LENGTHS)
        for length in (int(known[1]),) if known else range(34, 14, -1):
            if length > len(places):
                continue
            end = places[length - 1] + 1
            after = text[found.start() + end : found.start() + end + 1]
            borders = not (after.isascii() and after.isalnum())
            if borders and _checks("".join(candidate[place] for place in places[:length])):
                yield found.start(), found.start() + end
                break


def _checks(iban: str) -> bool:
    moved = iban[4:] + iban[:4]
    return int("".join(str(int(one, 36)) for one in moved)) % 97 == 1


FINDERS: Mapping[str, Callable[[str], Iterator[Range]]] = {
    "email": find_emails,
    "iban": find_ibans,
    "phone": find_phones,
    "url": find_urls,
    "ip": find_ips,
}
"""The kinds that are found without anything but a text."""


class NameFinder:
    """Finds listed names: whole words in their order, whatever case, blanks and way of writing accents.

    Names in scripts without case, most of which write words without blanks or join particles to them, are
    found anywhere.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        anywhere = set()
        for name in names:
            if any(unicodedata.category(one) == "Lo" for one in name):
                anywhere |= {unicodedata.normalize(form, name) for form in ("NFC", "NFD")} | {name}
            elif words := tuple(_folded(found[0]) for found in _words().finditer(name)):
                self._by_first.setdefault(words[0], []).append(words)
            else:
                anywhere.add(name)
        longest_first = sorted(anywhere, key=len, reverse=True)
        self._anywhere = re.compile("|".join(map(re.escape, longest_first))) if anywhere else None

    def __call__(self, text: str) -> Iterator[Range]:
        """Ranges of names."""
        if self._anywhere is not None:
            for found in self._anywhere.finditer(text):
                yield found.span()
        if not self._by_first:
            return
        words = [(found.start(), found.end(), _folded(found[0])) for found in _words().finditer(text)]
        for at, (start, _, word) in enumerate(words):
            for name in (*self._by_first.get(word, ()), *self._genitives(word)):
                said = words[at : at + len(name)]
                if _is_name(said, name) and _joined(text, said):
                    yield start, said[-1][1]

    def _genitives(self, word: str) -> Iterator[tuple[str, ...]]:
        for ending in _GENITIVES:
            if word.endswith(ending):
                yield from (one for one in self._by_first.get(word.removesuffix(ending), ()) if len(one) == 1)


_GENITIVES = ("s", "ens", "es")
_LONGEST_GAP = 4


def _is_name(said: Sequence[tuple[int, int, str]], name: tuple[str, ...]) -> bool:
    if len(said) < len(name):
        return False
    *firsts, last = (word for _, _, word in said)
    endings = ("", *_GENITIVES)
    return tuple(firsts) == name[:-1] and any(last == name[-1] + ending for ending in endings)


def _joined(text: str, said: Sequence[tuple[int, int, str]]) -> bool:
    """Whether the words follow each other as the words of a name do."""
    return all(after[0] - before[1] <= _LONGEST_GAP for before, after in pairwise(said))


def _folded(word: str) -> str:
    kept = "".join(one for one in word if unicodedata.category(one) != "Cf")
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", kept).casefold())


@lru_cache(maxsize=1)
def _words() -> re.Pattern[str]:
    r"""Words: what \w takes, with the marks and joiners that Python leaves out of it."""
    marks = [
        chr(code) for code in range(0x300, 0x1E950) if unicodedata.category(chr(code)) in ("Mn", "Mc", "Me")
    ]
    ranges: list[list[str]] = []
    for mark in marks:
        if ranges and ord(mark) == ord(ranges[-1][1]) + 1:
            ranges[-1][1] = mark
        else:
            ranges.append([mark, mark])
    listed = "".join(f"{first}-{last}" for first, last in ranges)
    return re.compile(rf"[^\W_](?:[^\W_]|[{listed}\u00ad\u200b-\u200d\u2060])*")
