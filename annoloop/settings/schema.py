"""The settings as checked values. A wrong one is refused with its path, `section -> key`."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from annoloop.types import STRATEGY_GROUP, Kind, LabelScheme, Role

STRATEGY_NAMES = (
    "random",
    "margin",
    "entropy",
    "kmeans_start",
    "margin_kmeans",
    "badge",
    "typicality",
    "density",
    "uncertainty",
    "uncertainty_disagreement",
    "span_margin",
    "disagreement",
    "llm_disagreement",
    "rules_disagreement",
    "shortest",
    "longest",
)
"""The strategies that choose texts; `selection.registry` has them. Packages bring further ones along."""


class Section(BaseModel):
    """A section: unknown keys and wrong types are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


def _bare(key: Any) -> Any:
    quoted = isinstance(key, str) and len(key) > 2 and key[0] == key[-1] == '"'
    return key[1:-1] if quoted else key


class ProjectSection(Section):
    """What is asked of the texts."""

    name: str = Field(min_length=1)
    kind: Kind
    labels: tuple[str, ...]
    lang: str = Field(pattern=r"^[a-z]{2,3}$")
    version: str = Field(pattern=r"^\d+(\.\d+)*$")
    definitions: dict[str, str] = {}
    renamed: dict[str, str] = {}

    @field_validator("lang")
    @classmethod
    def _lang(cls, value: str) -> str:
        spacy = find_spec("spacy")
        folders = spacy.submodule_search_locations if spacy else None
        if folders and not (Path(folders[0]) / "lang" / value / "__init__.py").is_file():
            raise ValueError("spaCy has no language of this code")
        return value

    @field_validator("labels", mode="before")
    @classmethod
    def _labels(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            if any(not isinstance(label, str) or not label.strip() for label in value):
                raise ValueError("a label is a text that is not blank")
            twice = {label for label in value if list(value).count(label) > 1}
            if twice:
                raise ValueError(f"given twice: {', '.join(sorted(twice))}")
        return value

    @field_validator("definitions", "renamed", mode="before")
    @classmethod
    def _unquoted(cls, value: Any, info: ValidationInfo) -> Any:
        # The format has no quotes around a key; who writes them means the label between them.
        if isinstance(value, dict):
            labels = info.data.get("labels") or ()
            return {key if key in labels else _bare(key): text for key, text in value.items()}
        return value

    @model_validator(mode="after")
    def _definitions(self) -> ProjectSection:
        unknown = sorted(set(self.definitions) - set(self.labels))
        if unknown:
            raise ValueError(f"definitions -> {unknown[0]}: not among the labels {list(self.labels)}")
        for old, new in self.renamed.items():
            if old in self.labels:
                raise ValueError(f"renamed -> {old}: still among the labels {list(self.labels)}")
            if new not in self.labels:
                raise ValueError(f"renamed -> {old}: {new!r} is not among the labels {list(self.labels)}")
        return self

    def scheme(self) -> LabelScheme:
        """The question asked of every text."""
        return LabelScheme(self.kind, self.labels, self.definitions, self.renamed)


class CorpusSection(Section):
    """How texts are split."""

    held_out: float = Field(ge=0, lt=1)
    dev: float = Field(ge=0, lt=1)
    near_duplicate: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _shares(self) -> CorpusSection:
        if self.held_out + self.dev >= 1:
            raise ValueError("held_out + dev leave nothing to learn from: their sum must stay below 1")
        return self


class StoreSection(Section):
    """Where the project's database is."""

    url: str | None


class RulesSection(Section):
    """Rules and when they suffice."""

    patterns: str
    target: float = Field(gt=0, le=1)
    join: Literal["auto", "never"]
    seconds: float = Field(gt=0)


class PrivacySection(Section):
    """What may leave the machine."""

    allow_remote: Literal["loopback", "private", "public"]
    redact: tuple[Literal["email", "iban", "phone", "url", "ip", "presidio"], ...]
    names: str | None
    audit: str = Field(min_length=1)
    patterns: dict[str, str] = {}

    @field_validator("patterns")
    @classmethod
    def _patterns(cls, value: dict[str, str]) -> dict[str, str]:
        for name, pattern in value.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"the pattern {name}, {pattern!r}, is not regular: {error}") from None
        return value


class VotingSection(Section):
    """Whether several sources vote on a suggestion."""

    use: Literal["auto", "never"]


class LLMSection(BaseModel):
    """spacy-llm's block: its keys pass through; the task and the model check their own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    examples: str
    few_shot: int | None = Field(ge=0)
    guidelines: bool
    max_cost: float | None = Field(ge=0)
    max_characters: int | None = Field(ge=200)
    variants: tuple[str, ...]
    include_reason: bool
    task: dict[str, Any]
    model: dict[str, Any]

    @model_validator(mode="after")
    def _keys(self) -> LLMSection:
        known = {"factory", "save_io", "validate_types", "cache", "require_all_labels"}
        unknown = sorted(set(self.model_extra or {}) - known)
        if unknown:
            raise ValueError(f"{unknown[0]}: not a setting of spacy-llm's block")
        return self


class SelectionSection(Section):
    """Which texts are asked about."""

    strategy: str
    random_share: float = Field(ge=0, le=1)
    batch: int = Field(gt=0)
    unit: Literal["auto", "texts", "tokens", "seconds"]
    seek: tuple[str, ...]
    vectors: bool

    @field_validator("strategy")
    @classmethod
    def _strategy(cls, value: str) -> str:
        known = ["auto", *STRATEGY_NAMES]
        if value not in known:
            known += sorted(point.name for point in entry_points(group=STRATEGY_GROUP))
        if value not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return value


class TrainingSection(Section):
    """What is trained."""

    recipes: tuple[str, ...] = Field(min_length=1)
    transformer: str | None = Field(min_length=1)
    seed: int = Field(ge=0)


class GateSection(Section):
    """When the model may be said to beat the LLM."""

    rounds: int = Field(gt=0)
    alpha: float = Field(gt=0, lt=1)
    margin: float = Field(ge=0, lt=1)
    min_texts: int = Field(gt=0)


class ReviewSection(Section):
    """The page."""

    blind_texts: int = Field(gt=0)
    lease_minutes: float = Field(gt=0)
    overlap: float = Field(ge=0, le=1)
    annotators: int = Field(ge=2)
    unassisted_share: float = Field(ge=0, le=1)
    agreement_passes: bool
    accept_on_key: bool
    language: Literal["en", "de"] | None
    login: Literal["oidc", "proxy"] | None
    hosts: tuple[str, ...]
    proxy_header: str = Field(min_length=1)
    trusted_proxies: tuple[str, ...]
    default_role: Role | None
    roles: dict[str, Role]


class Settings(Section):
    """All settings of a project."""

    project: ProjectSection
    corpus: CorpusSection
    store: StoreSection
    rules: RulesSection
    privacy: PrivacySection
    voting: VotingSection
    llm: LLMSection
    selection: SelectionSection
    training: TrainingSection
    gate: GateSection
    review: ReviewSection

    @model_validator(mode="after")
    def _sought(self) -> Settings:
        unknown = [label for label in self.selection.seek if label not in self.project.labels]
        if unknown:
            raise ValueError(
                f"selection -> seek: {unknown[0]!r} is not among the labels {list(self.project.labels)}"
            )
        return self
