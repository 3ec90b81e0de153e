"""Cards of what was measured: an evaluation, a comparison."""

from __future__ import annotations

from typing import Any

from modelnook.cards.card import Card, Facts, Line, Piece
from modelnook.cards.figures import count, metric
from modelnook.cards.scores import scores
from modelnook.cards.table import grid
from modelnook.domain.run import LOWER_IS_BETTER, Comparison, Evaluation
from modelnook.domain.table import Table
from modelnook.messages import t

__all__ = ["comparison", "evaluation"]


def _rows(data: dict[str, Any]) -> str:
    rows = data.get("rows")
    return t("cards.on_rows", n=count(rows)) if rows else ""


def evaluation(value: Evaluation) -> Card:
    """Metrics beside baselines; the classes that do worst."""
    where = " · ".join(filter(None, (_rows(value.data), value.note)))
    # A warning of an evaluation is about what its numbers are worth: beside them, never folded.
    pieces: list[Piece] = [Line(said, "warn") for said in value.warnings[:2]]
    pieces += scores(value.metrics, value.intervals, value.baselines, value.primary_metric)
    worst = _worst(value)
    if worst:
        pieces.append(Facts(((t("cards.worst"), worst),)))
    if value.slices:
        pieces.append(Facts(((t("cards.worst_slices"), _worst_slices(value.slices)),)))
    pieces.append(Facts(((t("cards.run"), value.run),)))
    return Card(value.model, where, "warn" if value.note or value.warnings else "good", tuple(pieces))


def _worst(value: Evaluation, most: int = 3) -> str:
    table = value.per_class
    if table is None or not {"label", "f1"} <= set(table.columns) or len(table) < 2:
        return ""
    label, f1 = table.columns.index("label"), table.columns.index("f1")
    rows = sorted((row for row in table.rows if row[f1] is not None), key=lambda row: row[f1])[:most]
    return ", ".join(f"{row[label]} {row[f1]:.3f}" for row in rows)


def _worst_slices(table: Table, most: int = 3) -> str:
    """The slices that do worst, of those with rows enough to tell."""
    rows = [row for row in table.rows if row[3] is not None and row[2] >= 10] or list(table.rows)
    low = table.columns[3] in LOWER_IS_BETTER
    rows.sort(key=lambda row: (row[3] is None, -row[3] if low and row[3] is not None else row[3]))
    return ", ".join(f"{name} {value} {metric(score)} ({n})" for name, value, n, score, *_ in rows[:most])


_FIGURES = ("bytes", "p50_ms", "rows_per_s", "peak_memory_bytes", "device")


def _narrow(value: Comparison) -> Table:
    """The columns that a card has room for: the primary metric with its interval, one more metric, size and speed."""
    names = value.table.columns
    metrics = [n for n in names[1:] if n not in ("low", "high", "p95_ms", *_FIGURES)]
    chosen = [names[0], *metrics[:1], *metrics[1:2], *(n for n in _FIGURES if n in names)]
    rows = []
    for row in value.table.rows:
        said = dict(zip(names, row, strict=True))
        cells = [said[n] for n in chosen]
        if "low" in said:
            cells.insert(2, (said["low"], said["high"]) if said["low"] is not None else None)
        rows.append(tuple(cells))
    if "low" in names:
        chosen.insert(2, "interval")
    return Table(tuple(chosen), tuple(rows))


def comparison(value: Comparison) -> Card:
    """One table; what nothing else beats stands out."""
    names = value.table.columns
    key = next((i for i, n in enumerate(names) if n in ("model", "ref")), 0)
    strong = tuple(n for n, row in enumerate(value.table.rows) if row[key] in value.front)
    front = ", ".join(value.front)
    pieces: tuple[Piece, ...] = tuple(Line(said, "warn") for said in value.warnings[:2])
    pieces += (grid(_narrow(value), strong=strong),)
    if front:
        pieces += (Line(t("cards.front", models=front), "quiet"),)
    where = " · ".join(filter(None, (_rows(value.data), value.note)))
    tone = "warn" if value.note or value.warnings else "good"
    return Card(t("cards.comparison", n=len(value.table)), where, tone, pieces)
