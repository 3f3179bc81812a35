"""What a person has to agree to before texts go to a public address: which, where to, masked or not.

Whatever asks an LLM comes by here: without that word the model is not even opened. It holds for one address
and one way of masking; answers that are kept need none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annoloop.errors import LLMError
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.llm.redaction import redaction_of
from annoloop.types import Example

CONSENT_FACT = "llm.consent"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a person agrees to: that texts go to this public address, masked as told here or not at all.

    `address` is the base URL, or the name of a model of others, which chooses its address itself.
    """

    address: str
    masked: tuple[str, ...]
    redaction: str

    @property
    def key(self) -> str:
        """Equal where the same was agreed to."""
        return input_hash(f"{self.address}\x1f{self.redaction}")

    @property
    def shown(self) -> str:
        """Where to, and what is masked, in words."""
        masks = f"masked: {', '.join(self.masked)}" if self.masked else "nothing in them is masked"
        return f"{self.address}, a public address ({masks})"


def terms_of(project: Project, config: Mapping[str, Any]) -> Terms:
    """What would have to be agreed to for the model of an `[llm]` block."""
    from annoloop.llm.annotate import is_own_model

    model = config.get("model") or {}
    address = str(model.get("base_url") if is_own_model(config) else model["@llm_models"])
    redaction = redaction_of(project)
    return Terms(address, redaction.masked, redaction.version)


def is_given(project: Project, terms: Terms) -> bool:
    """Whether somebody agreed to this."""
    return terms.key in (project.store.fact(CONSENT_FACT) or {})


def refuse_without(
    project: Project,
    config: Mapping[str, Any],
    examples: Sequence[Example],
    *,
    cost: float | None = None,
) -> None:
    """Refuse to send these texts to a public address as long as nobody has agreed to it.

    Raises:
        LLMError: nobody has; it says what would be sent, and nothing was.
    """
    terms = terms_of(project, config)
    if is_given(project, terms):
        return
    characters = sum(len(example.text) for example in examples)
    money = f", about {cost:.2f} in money" if cost is not None else ""
    raise LLMError(
        f"up to {len(examples)} texts ({characters} characters{money}) would be sent to {terms.shown}, "
        "and nobody has agreed to that yet: nothing was sent",
        hint="agree with --yes",
    )
