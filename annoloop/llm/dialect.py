"""What a server can do, found out from its refusals once and remembered."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from annoloop.llm.answers import Message, Prompt

Form = Literal["json_schema", "json_object_schema", "json_object", "text"]
EXTRA = "extra_body"
"""The parameter that holds further ones, which are sent as they are."""
FORMS: tuple[Form, ...] = ("json_schema", "json_object_schema", "json_object", "text")
"""Ways to ask for structured output, the strictest first."""

_STEPS_DOWN_ON = frozenset((400, 404, 415, 422, 500, 501))
_DROPPED = ("temperature", "seed")
"""Parameters that some models do not take."""
_FORMAT_WORDS = (
    "response_format",
    "json_schema",
    "json_object",
    "json schema",
    "structured",
    "grammar",
    "schema",
)


class Dialect:
    """The form of structured output and the parameters that one model on one server takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._level = 0
        self._dropped: frozenset[str] = frozenset()
        self._renamed = False
        self.proven = False

    def prove(self) -> None:
        """A question with a schema was answered in this form."""
        self.proven = True

    def state(self) -> dict[str, Any]:
        """What was found out, as plain values."""
        return {"form": self.form, "dropped": sorted(self._dropped), "renamed": self._renamed}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what was found out before; where it no longer holds, refusals teach it anew."""
        with self._lock:
            if self.proven or state.get("form") not in FORMS:
                return
            self._level = max(self._level, FORMS.index(state["form"]))
            self._dropped |= frozenset(state.get("dropped") or ()).intersection(_DROPPED)
            self._renamed = self._renamed or bool(state.get("renamed"))
            self.proven = True

    @property
    def form(self) -> Form:
        """The strictest form that was not refused yet."""
        return FORMS[self._level]

    def request(
        self, prompt: Prompt, messages: Sequence[Message], parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The arguments of a chat completion."""
        asked: dict[str, Any] = {"messages": [dict(message) for message in messages]}
        for name, value in parameters.items():
            if name == EXTRA:
                asked.update(value)
            elif value is not None and name not in self._dropped:
                renamed = name == "max_tokens" and self._renamed
                asked["max_completion_tokens" if renamed else name] = value
        form = self.form
        if prompt.schema is not None and form != "text":
            asked["response_format"] = _response_format(form, prompt.schema)
        return asked

    def learn(self, asked: Mapping[str, Any], status: int, complaint: str) -> bool:
        """Take a refusal in; True where the same question is worth asking again in another way."""
        complaint = complaint.lower()
        if status not in _STEPS_DOWN_ON:
            return False
        with self._lock:
            if status in (400, 422):
                if "max_tokens" in asked and "max_completion_tokens" in complaint:
                    self._renamed = True
                    return True
                for name in _DROPPED:
                    if name in asked and name in complaint:
                        self._dropped |= {name}
                        return True
            if "response_format" not in asked or not any(word in complaint for word in _FORMAT_WORDS):
                return False
            # Another thread may have stepped down since this question was asked.
            used = _form_of(asked["response_format"])
            self._level = max(self._level, FORMS.index(used) + 1)
            return True


def _response_format(form: Form, schema: Mapping[str, Any]) -> dict[str, Any]:
    if form == "json_schema":
        named = {"name": "answer", "schema": dict(schema), "strict": True}
        return {"type": "json_schema", "json_schema": named}
    if form == "json_object_schema":
        return {"type": "json_object", "schema": dict(schema)}
    return {"type": "json_object"}


def _form_of(response_format: Mapping[str, Any]) -> Form:
    if response_format["type"] == "json_schema":
        return "json_schema"
    return "json_object_schema" if "schema" in response_format else "json_object"


_known: dict[tuple[str, str], Dialect] = {}
_recalled: dict[str, Mapping[str, Any]] = {}
_known_lock = threading.Lock()


def dialect_of(endpoint: str, name: str) -> Dialect:
    """The dialect of a model on a server, shared by everything in this process that asks it."""
    with _known_lock:
        if (endpoint, name) not in _known:
            _known[endpoint, name] = Dialect()
            _known[endpoint, name].restore(_recalled.get(f"{endpoint} {name}", {}))
        return _known[endpoint, name]


def proven_dialects() -> dict[str, dict[str, Any]]:
    """What this process has found out of every server and model, by a name for the two."""
    with _known_lock:
        known = dict(_known)
    return {f"{endpoint} {name}": one.state() for (endpoint, name), one in known.items() if one.proven}


def recall_dialects(states: Mapping[str, Mapping[str, Any]]) -> None:
    """Take over what `proven_dialects` told in an earlier process."""
    with _known_lock:
        _recalled.update(states)
        for (endpoint, name), dialect in _known.items():
            if f"{endpoint} {name}" in states:
                dialect.restore(states[f"{endpoint} {name}"])
