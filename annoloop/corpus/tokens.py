"""Words and marks of a text in any script, without a language: to count, or to compare people by."""

from __future__ import annotations

import re

# Scripts without blanks are counted by the character, roughly as spaCy's tokenizers for them do.
_WIDE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"

TOKEN = re.compile(rf"[{_WIDE}]|[^\W{_WIDE}]+|[^\w\s]")
"""One of them: a word, a mark, or a character of such a script."""
