"""What a server can do, found out from its refusals once and remembered for the process."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from annoloop.llm.answers import Message, Prompt

Form = Literal["json_schema", "json_object_schema", "json_object", "text"]
FORMS: tuple[Form, ...] = ("json_schema", "json_object_schema", "json_object", "text")
"""Ways to ask for structured output, the strictest first."""

_STEPS_DOWN_ON = frozenset((400, 404, 415, 422, 500, 501))
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
            if value is not None and name not in self._dropped:
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
                for name in ("temperature", "seed"):
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
_known_lock = threading.Lock()


def dialect_of(endpoint: str, name: str) -> Dialect:
    """The dialect of a model on a server, shared by everything in this process that asks it."""
    with _known_lock:
        return _known.setdefault((endpoint, name), Dialect())
