"""The verdict in a few words, as a person would say it, and where what was judged is kept."""

from __future__ import annotations

from collections.abc import Iterable

from annoloop.types import Decision, LeaderboardRow

LEADERBOARD_FACT = "leaderboard"
"""The rows as last judged, so that a page can show them without running a model."""

WORDS: dict[Decision, str] = {
    "beats_llm": "model beats LLM",
    "level": "level with the LLM",
    "rules_suffice": "rules suffice",
    "llm_ahead": "LLM still ahead",
    "no_llm": "no LLM to compare with",
    "refused": "no verdict",
}


def in_words(decision: Decision, rows: Iterable[LeaderboardRow]) -> str:
    """A few words; where model and LLM are level, what the model saves by the measured or priced cost."""
    if decision != "level":
        return WORDS[decision]
    by_approach = {row.approach: row for row in rows}
    saving = _saving(by_approach.get("model"), by_approach.get("llm"))
    return f"level, and {saving}" if saving else WORDS[decision]


def _saving(model: LeaderboardRow | None, llm: LeaderboardRow | None) -> str | None:
    """Money where the LLM has a price, else time; None where the model saves neither as far as is known."""
    if model is None or llm is None:
        return None
    saved = f"{llm.cost - (model.cost or 0.0):.2f}" if llm.cost is not None else "0.00"
    if float(saved) > 0:
        return f"cheaper by {saved} per 1,000 texts"
    if model.texts_per_second and llm.texts_per_second and model.texts_per_second > llm.texts_per_second:
        return f"{model.texts_per_second / llm.texts_per_second:,.1f} times as fast"
    return None
