"""The card of an export: where it is, how like the original."""

from __future__ import annotations

from typing import Any

from modelnook.cards.card import Card, Facts, Line, Piece
from modelnook.cards.figures import count, size
from modelnook.messages import t

__all__ = ["exported", "parity"]


def exported(value: Any) -> Card:
    """A written path with its parity report."""
    report = value.report or {}
    pieces: list[Piece] = [Line(value.note, "quiet")] if value.note else []
    pieces += [Facts((("", str(report.get("model") or "")),)), *parity(report)] if report else []
    return Card(str(value), t("cards.exported", format=report.get("format") or ""), "good", tuple(pieces))


def parity(report: dict[str, Any]) -> tuple[Piece, ...]:
    """Size, licence, and how the answers compare; for a run's card as well."""
    off = report.get("max_difference")
    off_text = "" if off is None else t("cards.of_allowed", value=f"{off:.1e}", allowed=f"{report['tolerance']:g}")
    rows = count(report.get("rows"))
    which = report.get("data") or "own"
    return (
        Facts(((t("cards.size"), size(report.get("bytes"))), (t("cards.licence"), str(report.get("license") or "–")))),
        Facts(
            (
                (t("cards.same_answers"), f"{100 * report['equal']:.1f}%"),
                (t("cards.max_difference"), off_text),
                (
                    "",
                    t(
                        {"validation": "cards.on_validation", "data": "cards.on_rows"}.get(which, "cards.on_own"),
                        n=rows,
                    ),
                ),
            )
        ),
    )
