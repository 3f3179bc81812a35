"""A JSON value out of what an LLM wrote around it."""

from __future__ import annotations

import json
import re
from typing import Any

from annoloop.llm.answers import Malformed

_THINKING = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_UNCLOSED = re.compile(r"^.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)


def first_object(content: str) -> dict[str, Any]:
    """The first whole JSON object in an answer, whatever stands before and after it.

    Raises:
        Malformed: there is none.
    """
    stripped = _UNCLOSED.sub("", _THINKING.sub("", content))
    decoder = json.JSONDecoder(strict=False)
    start = stripped.find("{")
    while start >= 0:
        try:
            value, _ = decoder.raw_decode(stripped, start)
        except (json.JSONDecodeError, RecursionError):
            start = stripped.find("{", start + 1)
            continue
        if isinstance(value, dict):
            return value
    raise Malformed("the answer holds no whole JSON object")
