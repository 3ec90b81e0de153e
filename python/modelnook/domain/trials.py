"""The trials of a tuning run as tables."""

from __future__ import annotations

from modelnook.domain.run import LOWER_IS_BETTER, RunRecord
from modelnook.domain.table import Table

__all__ = ["front_table", "trials_table"]


def trials_table(record: RunRecord) -> Table:
    """The trials of a tuning run, best first; those without a value last."""
    report = record.report or {}
    rows = list(report.get("trials") or ())
    others = (report.get("objectives") or [])[1:]
    sign = 1 if record.primary_metric in LOWER_IS_BETTER else -1
    rows.sort(key=lambda row: (row.get("state") != "finished", sign * (row.get("value") or 0.0)))
    names = list(dict.fromkeys(name for row in rows for name in row.get("knobs") or {}))
    cells = tuple(
        (
            row.get("number"),
            row.get("state"),
            row.get("value"),
            *(row.get("values") or [None] * (1 + len(others)))[1 : 1 + len(others)],
            row.get("seconds"),
            *(row["knobs"].get(n) for n in names),
        )
        for row in ({**row, "knobs": row.get("knobs") or {}} for row in rows)
    )
    return Table(("trial", "state", record.primary_metric or "value", *others, "seconds", *names), cells)


def front_table(record: RunRecord) -> Table:
    """The trials that no other beats, of several objectives; the best in the first objective first."""
    report = record.report or {}
    objectives = report.get("objectives") or []
    sign = 1 if record.primary_metric in LOWER_IS_BETTER else -1
    rows = sorted(report.get("front") or (), key=lambda row: sign * row["values"][0])
    names = list(dict.fromkeys(name for row in rows for name in row["knobs"]))
    cells = tuple(
        (
            row["number"],
            *row["values"],
            row.get("holdout"),
            *(row.get("interval") or (None, None)),
            row.get("model"),
            *(row["knobs"].get(name) for name in names),
        )
        for row in rows
    )
    return Table(("trial", *objectives, "holdout", "low", "high", "model", *names), cells)
