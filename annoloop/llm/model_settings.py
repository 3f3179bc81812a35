"""The model block of the settings, checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from annoloop.errors import LLMError
from annoloop.llm.local import EMBEDDED, MODEL_NAME

_OURS = frozenset(("messages", "model", "response_format", "stream"))


class ModelSettings(BaseModel):
    """The model block: what each argument of `annoloop.OpenAI.v1` means.

    `base_url` "embedded" is the small local model; `name` is then null or the path of another GGUF file.
    `api_key_env` names the environment variable with the key; unnamed, none is sent, except OPENAI_API_KEY
    to api.openai.com. `workers`, `max_tokens` and `timeout` (seconds) null: 1, 256 and 300 for the embedded
    model; 4 on this machine and 16 elsewhere, 1024 and 60 for a server. Prices are per million tokens;
    `price_cached` is for tokens of the prompt that the server knew already, null as `price_input`.
    `extra_body` holds further parameters, sent as they are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    base_url: str = EMBEDDED
    api_key_env: str | None = None
    temperature: float | None = Field(default=0.0, ge=0)
    max_tokens: int | None = Field(default=None, gt=0)
    seed: int | None = 0
    workers: int | None = Field(default=None, gt=0, le=256)
    timeout: float | None = Field(default=None, gt=0)
    retries: int = Field(default=4, ge=0)
    allow_remote: Literal["loopback", "private", "public"] = "loopback"
    price_input: float | None = Field(default=None, ge=0)
    price_cached: float | None = Field(default=None, ge=0)
    price_output: float | None = Field(default=None, ge=0)
    price_date: str | None = None
    extra_body: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _named(self) -> ModelSettings:
        if self.base_url != EMBEDDED and not self.name:
            raise ValueError("name: the model's name on that server is missing")
        ours = sorted(_OURS.intersection(self.extra_body))
        if ours:
            raise ValueError(f"extra_body: {ours[0]} is not set there")
        return self

    @property
    def embedded(self) -> bool:
        """Whether this is the embedded server."""
        return self.base_url == EMBEDDED

    @property
    def label(self) -> str:
        """The model's name for people; the embedded stand-in is always called one."""
        if not self.embedded:
            return str(self.name)
        return Path(self.name).stem if self.name else f"{MODEL_NAME} (very small stand-in)"


def model_settings(block: Mapping[str, Any]) -> ModelSettings:
    """Check a model block (with or without its "@llm_models").

    Raises:
        LLMError: an unknown key or a wrong value, with its path.
    """
    try:
        return ModelSettings(**{key: value for key, value in block.items() if key != "@llm_models"})
    except ValidationError as error:
        first = error.errors()[0]
        path = " -> ".join(("llm", "model", *(str(part) for part in first["loc"])))
        known = ", ".join(ModelSettings.model_fields)
        hint = f"known: {known}" if first["type"] == "extra_forbidden" else ""
        raise LLMError(f"{path}: {first['msg'].removeprefix('Value error, ')}", hint=hint) from None
