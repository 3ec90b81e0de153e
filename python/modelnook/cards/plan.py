"""The card of a plan: what a dry run would have done, and why."""

from __future__ import annotations

from typing import Any

from modelnook.cards.card import Card, Facts, Line, Piece
from modelnook.cards.figures import count, duration, size
from modelnook.messages import t
from modelnook.tracking.destination import line, planned

__all__ = ["plan", "takes"]


def plan(value: Any) -> Card:
    """Steps, knobs and memory of a :class:`modelnook.finetune.plan.Plan`."""
    pieces: tuple[Piece, ...] = (
        Line(line(planned(value.track)), "quiet"),
        Line(value.reason, "quiet"),
        Facts((("", value.base), (t("cards.task"), value.task))),
        Facts(
            (
                ("", ", ".join(f"{role}={column}" for role, column in value.columns.items())),
                (t("cards.classes"), count(value.classes) if value.classes else ""),
                ("", _rows(value)),
            )
        ),
        Facts(
            (
                (t("cards.epochs"), f"{value.epochs:g}" if value.epochs else ""),
                (t("cards.steps"), count(value.steps or None)),
                (t("cards.batch"), str(value.batch_size or "")),
                (t("cards.max_length"), str(value.max_length or "")),
                ("", t("cards.packed") if value.packing else ""),
                (t("cards.learning_rate"), f"{value.learning_rate:g}" if value.learning_rate else ""),
            )
        ),
        *takes(value),
    )
    pieces = tuple(p for p in pieces if not (isinstance(p, Facts) and not p.said))
    warnings = tuple(w.message for w in value.warnings)
    return Card(t("cards.plan"), value.method, "warn" if warnings else "plain", pieces, warnings, t("cards.plan_next"))


def takes(value: Any, measured: float | None = None) -> tuple[Facts, ...]:
    """What a training takes: memory, disk and time, and what it leaves unread; two lines.

    Args:
        measured: seconds in all by the first steps, which know better than what was said before them.
    """
    return (
        Facts(
            (
                (t("cards.memory.need"), size(value.memory or None)),
                (t("cards.memory.free"), size(value.memory_free) if value.memory else ""),
                (t("cards.tokens_lost"), f"{value.tokens_lost:.1%}" if value.steps else ""),
            )
        ),
        Facts(
            (
                (t("cards.disk"), size(value.disk or None)),
                (t("cards.memory.free"), size(value.disk_free) if value.disk else ""),
                (t("cards.time"), _time(value.seconds, value.known, measured)),
            )
        ),
    )


def _rows(value: Any) -> str:
    if not value.held_out:
        return f"{t('cards.rows')} {count(value.rows)}"
    return t("cards.rows_split", n=count(value.rows), out=count(value.held_out))


def _time(seconds: tuple[float, float] | None, known: bool, measured: float | None) -> str:
    """From and to; whether by what took as long here is said."""
    if measured is not None:
        return t("cards.time_measured", time=duration(measured))
    if not seconds:
        return ""
    key = "cards.time_before" if known else "cards.time_guessed"
    return t(key, low=duration(seconds[0]), high=duration(seconds[1]))
