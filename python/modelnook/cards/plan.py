"""The card of a plan: what a dry run would have done, and why."""

from __future__ import annotations

from typing import Any

from modelnook.cards.card import Card, Facts, Line
from modelnook.cards.figures import count, size
from modelnook.messages import t
from modelnook.tracking.destination import line, planned

__all__ = ["plan"]


def plan(value: Any) -> Card:
    """Steps, knobs and memory of a :class:`modelnook.finetune.plan.Plan`."""
    pieces = (
        Line(line(planned(value.track)), "quiet"),
        Line(value.reason, "quiet"),
        Facts(
            (
                (t("cards.rows"), count(value.rows)),
                (t("cards.epochs"), f"{value.epochs:g}"),
                (t("cards.steps"), count(value.steps)),
                (t("cards.batch"), str(value.batch_size)),
                (t("cards.max_length"), str(value.max_length)),
                (t("cards.learning_rate"), f"{value.learning_rate:g}"),
            )
        ),
        Facts(((t("cards.memory.need"), size(value.memory)), (t("cards.memory.free"), size(value.memory_free)))),
        Facts(((t("cards.tokens_lost"), f"{value.tokens_lost:.1%}"),)),
    )
    warnings = tuple(w.message for w in value.warnings)
    return Card(t("cards.plan"), value.method, "warn" if warnings else "plain", pieces, warnings, t("cards.plan_next"))
