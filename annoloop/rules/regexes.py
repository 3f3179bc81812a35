"""Tell before it is used whether a regular expression can take for ever.

Python's engine tries one way of matching after another. The ways are the paths of an automaton that read
the text; here they are counted. With two paths from a state back to itself over the same characters
(`(a+)+`, `(a|a)*`) their number doubles with every few characters: such an expression is refused. With
two loops one after the other that take the same characters (`a*a*`) it grows with a power of the length:
that can be slow on long texts only, so it is not proven, and runs where it can be stopped. The two
criteria are those of Weber and Seidl (1991), "On the degree of ambiguity of finite automata", EDA and IDA.

Assertions and anchors are read as if they always held, so some harmless expressions are refused too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import Any

_parser: Any = import_module("re._parser")

ADVICE = "write it without a repetition inside a repetition, and without alternatives that begin alike"
_COPIES, _FIXED_COPIES = 16, 64
"""Counted repetitions up to this many are written out. Longer ones are read as loops, or cut where the
count is fixed."""
_MOST_STATES, _MOST_STEPS = 3_000, 200_000
_PUMPS, _MOST_WAYS = 60, 50_000
# Characters for the classes, beside those that the expression itself names.
_COMMON = "aZ09_- .\n\té日\u0663\u2003\u00df\0"


@dataclass(frozen=True, slots=True)
class Finding:
    """`problem` says why the expression can take for ever; empty where none was found.

    `proven` says that its ways of matching grow at most in proportion to the text.
    """

    problem: str
    proven: bool


@lru_cache(maxsize=4_096)
def examine(pattern: str, flags: int = 0) -> Finding:
    """What can be said of a regular expression without running it. One that does not compile is proven."""
    try:
        tree = _parser.parse(pattern, flags)
    except (re.error, RecursionError, OverflowError):
        return Finding("", True)
    try:
        return _examined(tree, tree.state.flags)
    except (_TooLargeError, RecursionError):
        return Finding("", False)


def _examined(tree: Any, flags: int) -> Finding:
    reader = _Reader(_alphabet(tree))
    whole = reader.read(tree, flags)
    parts = [whole, *reader.asserted]
    states = reader.states
    groups = _loops(states)
    if any(_doubles(states, group) for group in groups):
        return Finding("its ways of matching a text can double with every character", False)
    if _explodes(states, parts):
        return Finding(f"it can match {_PUMPS} characters in more than {_MOST_WAYS:,} ways", False)
    proven = not reader.refers and not _multiplies(states, groups)
    return Finding("", proven)


def regexes_of(match: Any) -> Iterator[str]:
    """The regular expressions inside token dicts, also in extended ones: {"REGEX": {"IN": […]}}."""
    if isinstance(match, Mapping):
        for key, value in match.items():
            yield from _strings(value) if str(key).upper() == "REGEX" else regexes_of(value)
    elif isinstance(match, Iterable) and not isinstance(match, str):
        for value in match:
            yield from regexes_of(value)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, Iterable):
        for inner in value:
            yield from _strings(inner)


class _TooLargeError(Exception):
    """The automaton is too large to be examined."""


@dataclass(slots=True)
class _State:
    """A place in the expression that reads one character; `next` counts the ways to each following place."""

    characters: frozenset[str]
    next: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Part:
    """A part of the expression: the ways to read nothing, to begin and to end, by state; none above 2."""

    empty: int
    first: dict[int, int]
    last: dict[int, int]


def _merged(left: Mapping[int, int], right: Mapping[int, int], times: int = 1) -> dict[int, int]:
    made = dict(left)
    if times:
        for state, ways in right.items():
            made[state] = min(2, made.get(state, 0) + ways * times)
    return made


class _Reader:
    """Makes the automaton of a parsed expression: one state for each character that it reads."""

    def __init__(self, alphabet: frozenset[str]) -> None:
        self.alphabet = alphabet
        self.states: list[_State] = []
        self.asserted: list[_Part] = []
        self.refers = False
        self._links = 0

    def read(self, items: Any, flags: int) -> _Part:
        """The items one after the other."""
        made = _Part(1, {}, {})
        for operation, argument in items:
            made = self._then(made, self._item(str(operation), argument, flags))
        return made

    def _item(self, operation: str, argument: Any, flags: int) -> _Part:
        if operation in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            return self._state(frozenset(c for c in self.alphabet if _reads(operation, argument, c, flags)))
        if operation in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = argument
            return self._repeated(int(least), int(most), inner, flags)
        if operation == "SUBPATTERN":
            _, added, removed, inner = argument
            return self.read(inner, (flags | added) & ~removed)
        if operation == "ATOMIC_GROUP":
            return self.read(argument, flags)
        if operation == "BRANCH":
            return self._either([self.read(inner, flags) for inner in argument[1]])
        if operation in ("ASSERT", "ASSERT_NOT"):
            self.asserted.append(self.read(argument[1], flags))
        elif operation == "GROUPREF":
            self.refers = True
            return self._state(self.alphabet)
        elif operation == "GROUPREF_EXISTS":
            _, yes, no = argument
            return self._either([self.read(yes, flags), self.read(no or (), flags)])
        return _Part(1, {}, {})

    def _state(self, characters: frozenset[str]) -> _Part:
        if len(self.states) >= _MOST_STATES:
            raise _TooLargeError
        self.states.append(_State(characters))
        number = len(self.states) - 1
        return _Part(0, {number: 1}, {number: 1})

    def _link(self, last: Mapping[int, int], first: Mapping[int, int]) -> None:
        self._links += len(last) * len(first)
        if self._links > _MOST_STEPS:
            raise _TooLargeError
        for state, ways in last.items():
            self.states[state].next = _merged(self.states[state].next, first, ways)

    def _then(self, left: _Part, right: _Part) -> _Part:
        self._link(left.last, right.first)
        first = _merged(left.first, right.first, left.empty)
        last = _merged(right.last, left.last, right.empty)
        return _Part(min(2, left.empty * right.empty), first, last)

    def _either(self, parts: list[_Part]) -> _Part:
        made = _Part(0, {}, {})
        for part in parts:
            first, last = _merged(made.first, part.first), _merged(made.last, part.last)
            made = _Part(min(2, made.empty + part.empty), first, last)
        return made

    def _repeated(self, least: int, most: int, inner: Any, flags: int) -> _Part:
        loops = most > _COPIES and most != least
        made = _Part(1, {}, {})
        # The last of the copies that must be is the loop itself.
        for _ in range(min(least, _FIXED_COPIES) - (loops and least > 0)):
            made = self._then(made, self.read(inner, flags))
        if loops:
            part = self.read(inner, flags)
            self._link(part.last, part.first)
            empty = min(2, part.empty + (least == 0))
            return self._then(made, _Part(empty, part.first, part.last))
        tail = _Part(1, {}, {})
        for _ in range(most - least):
            tail = self._then(self.read(inner, flags), tail)
            tail = _Part(min(2, tail.empty + 1), tail.first, tail.last)
        return self._then(made, tail)


def _alphabet(tree: Any) -> frozenset[str]:
    """Characters that tell the classes of the expression apart: those it names and those beside them."""
    points: set[int] = set(map(ord, _COMMON))

    def look(value: Any) -> None:
        if isinstance(value, _parser.SubPattern):
            value = value.data
        if isinstance(value, tuple) and len(value) == 2 and str(value[0]) in ("LITERAL", "NOT_LITERAL"):
            points.update((value[1], value[1] + 1))
        elif isinstance(value, tuple) and len(value) == 2 and str(value[0]) == "RANGE":
            points.update(point + step for point in value[1] for step in (-1, 0, 1))
        elif isinstance(value, tuple | list):
            for inner in value:
                look(inner)

    look(tree)
    named = {chr(point) for point in points if 0 <= point < 0x110000}
    return frozenset(named | {c for one in named for c in (one.lower(), one.upper()) if len(c) == 1})


def _reads(operation: str, argument: Any, character: str, flags: int) -> bool:
    if operation == "ANY":
        return character != "\n" or bool(flags & re.DOTALL)
    if operation == "IN":
        negated = bool(argument) and str(argument[0][0]) == "NEGATE"
        return negated != any(_in(str(op), value, character, flags) for op, value in argument)
    return (operation == "NOT_LITERAL") != _in("LITERAL", argument, character, flags)


def _in(operation: str, value: Any, character: str, flags: int) -> bool:
    cases = {character}
    if flags & re.IGNORECASE:
        cases |= {character.lower(), character.upper()}
    if operation == "LITERAL":
        return chr(value) in cases
    if operation == "RANGE":
        return any(len(one) == 1 and value[0] <= ord(one) <= value[1] for one in cases)
    if operation == "CATEGORY":
        return bool(_CATEGORIES[str(value).removeprefix("CATEGORY_")](character, flags))
    return False


def _class(letter: str) -> Any:
    def matches(character: str, flags: int) -> bool:
        return re.match(letter, character, flags & re.ASCII) is not None

    return matches


_CATEGORIES: dict[str, Any] = {
    "DIGIT": _class(r"\d"),
    "NOT_DIGIT": _class(r"\D"),
    "SPACE": _class(r"\s"),
    "NOT_SPACE": _class(r"\S"),
    "WORD": _class(r"\w"),
    "NOT_WORD": _class(r"\W"),
}


def _loops(states: list[_State]) -> list[frozenset[int]]:
    """The sets of states that can all reach each other: strongly connected, with an edge at least."""
    reached = [_reached(states, number) if state.next else set() for number, state in enumerate(states)]
    groups = {
        frozenset(other for other in ahead if number in reached[other])
        for number, ahead in enumerate(reached)
        if number in ahead
    }
    return sorted(groups, key=min)


def _reached(states: list[_State], start: int) -> set[int]:
    """The states that come after a state, itself only where it comes again."""
    seen: set[int] = set()
    ahead = list(states[start].next)
    while ahead:
        state = ahead.pop()
        if state not in seen:
            seen.add(state)
            ahead += states[state].next
    return seen


def _doubles(states: list[_State], group: frozenset[int]) -> bool:
    """Whether two paths over the same characters part within the loop and meet again (EDA)."""
    inside = {state: {to: n for to, n in states[state].next.items() if to in group} for state in group}
    if any(ways > 1 and states[to].characters for ahead in inside.values() for to, ways in ahead.items()):
        return True
    pairs = [(state, state) for state in group]
    seen = set(pairs)
    while pairs:
        left, right = pairs.pop()
        for one in inside[left]:
            for other in inside[right]:
                if states[one].characters.isdisjoint(states[other].characters):
                    continue
                if one == other and left != right:
                    return True
                if (one, other) not in seen:
                    seen.add((one, other))
                    pairs.append((one, other))
        if len(seen) > _MOST_STEPS:
            raise _TooLargeError
    return False


def _explodes(states: list[_State], parts: list[_Part]) -> bool:
    """Whether a character again and again is read in very many ways, without any loop: `(a?){30}`."""
    for character in {c for state in states for c in state.characters}:
        for part in parts:
            ways = {s: n for s, n in part.first.items() if character in states[s].characters}
            for _ in range(_PUMPS):
                ahead: dict[int, int] = {}
                for state, count in ways.items():
                    for to, more in states[state].next.items():
                        if character in states[to].characters:
                            ahead[to] = ahead.get(to, 0) + count * more
                ways = ahead
                if sum(ways.values()) > _MOST_WAYS:
                    return True
    return False


def _multiplies(states: list[_State], groups: list[frozenset[int]]) -> bool:
    """Whether a loop can hand the same characters on to a later loop at any of them (IDA)."""
    steps = 0
    for group in groups:
        for first in group:
            later = [other for other in groups if other is not group and other & _reached(states, first)]
            for other in later:
                for second in other:
                    found, taken = _hands_on(states, first, second)
                    steps += taken
                    if found or steps > _MOST_STEPS:
                        return True
    return False


def _hands_on(states: list[_State], first: int, second: int) -> tuple[bool, int]:
    """Whether one word leads from `first` to itself, on to `second`, and from `second` to itself."""
    seen = {(first, first, second)}
    ahead = list(seen)
    while ahead and len(seen) < _MOST_STEPS // 10:
        a, b, c = ahead.pop()
        for x in states[a].next:
            for y in states[b].next:
                both = states[x].characters & states[y].characters
                for z in states[c].next if both else ():
                    triple = (x, y, z)
                    if triple in seen or both.isdisjoint(states[z].characters):
                        continue
                    if triple == (first, second, second):
                        return True, len(seen)
                    seen.add(triple)
                    ahead.append(triple)
    return len(seen) >= _MOST_STEPS // 10, len(seen)
