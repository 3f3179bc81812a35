"""Identity of texts and questions: ours, and Prodigy's beside it.

Ours are 128 bits wide: Prodigy's 32 bits meet a collision among 100,000 texts more often than not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from murmurhash import mrmr

_PREDICTED = ("score", "rank", "model", "source", "pattern", "priority", "path")
_ANSWERED = ("_view_id", "_session_id", "_annotator_id", "answer")
_IGNORED = frozenset((*_PREDICTED, *_ANSWERED))


def input_hash(text: str) -> str:
    """32 hex digits that name a text. Equal texts, code point by code point, have equal hashes."""
    return hashlib.blake2b(text.encode("utf8", "surrogatepass"), digest_size=16).hexdigest()


def task_hash(text_hash: str, kind: str, labels: tuple[str, ...]) -> str:
    """32 hex digits that name a question: this text, this kind, these labels in any order."""
    return input_hash("\x1f".join((text_hash, kind, *sorted(labels))))


def fraction(text_hash: str, salt: str) -> float:
    """A number in [0, 1), even over texts, fixed by the text and the salt: what splits go by."""
    digest = hashlib.blake2b(f"{salt}\x1f{text_hash}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _strip(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _strip(item) for key, item in value.items() if key not in _IGNORED}
    if isinstance(value, list | tuple):
        return [_strip(item) for item in value]
    return value


def prodigy_input_hash(task: Mapping[str, Any]) -> int:
    """Prodigy's `_input_hash` of a task: MurmurHash3 x86 32-bit, seed 0, signed."""
    keys = ("text", "image", "html", "input")
    return int(mrmr.hash("".join(f"{key}={_dump(task[key])}" for key in keys if key in task), 0))


def prodigy_task_hash(task: Mapping[str, Any]) -> int:
    """Prodigy's `_task_hash` of a task, as it enters the stream."""
    first = task.get("_input_hash", prodigy_input_hash(task))
    keys = ("spans", "label", "options", "arcs")
    body = "".join(f"{key}={_dump(_strip(task[key]))}" for key in keys if key in task)
    body = body or _dump(_strip({**task, "_input_hash": first}))
    return int(mrmr.hash(f"{first}{body}", 0))
