"""A person's word before texts go to a public address for the first time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from annoloop.project import Project
from annoloop.steps.llm.agreement import CONSENT_FACT, Terms, is_given, terms_of
from annoloop.steps.llm.source import IMPORTED_FACT, llm_config, why_no_llm


def needed(project: Project, config: Mapping[str, Any] | None = None) -> Terms | None:
    """What nobody has agreed to yet although the LLM needs it; None where nothing is missing.

    `config` is the `[llm]` block, by default the project's.

    Raises:
        LLMError: the block or the masks are wrong.
    """
    from annoloop.llm.annotate import check_llm, is_own_model
    from annoloop.llm.endpoint import resolve

    if project.settings.privacy.allow_remote != "public":
        return None
    if config is None:
        if why_no_llm(project) is not None or project.store.fact(IMPORTED_FACT) is not None:
            return None
        config = llm_config(project)
    model = config.get("model") or {}
    if is_own_model(config):
        if model.get("base_url") in (None, "embedded"):
            return None
        check_llm(config, allow_remote="public")
        if resolve(str(model["base_url"])).reach != "public":
            return None
    terms = terms_of(project, config)
    return None if is_given(project, terms) else terms


def give(project: Project, *, by: str, config: Mapping[str, Any] | None = None) -> Terms | None:
    """Agree, in the name of `by`, to what is needed; returns what that was, None where nothing was."""
    terms = needed(project, config)
    if terms is not None:
        given = dict(project.store.fact(CONSENT_FACT) or {})
        given[terms.key] = {
            "address": terms.address,
            "masked": list(terms.masked),
            "by": by,
            "at": time.time(),
        }
        project.store.set_fact(CONSENT_FACT, given)
    return terms
