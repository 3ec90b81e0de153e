"""The card of a tuning run: what it gained, the trials, which knobs mattered."""

from __future__ import annotations

from typing import Any

from modelnook.cards.card import Chart, Facts, Grid, Line, Piece
from modelnook.cards.figures import count, duration, metric
from modelnook.domain.run import UNBOUNDED, RunRecord
from modelnook.messages import t

__all__ = ["gain_line", "history", "trials"]

SHOWN = 5
"""Trials in a card: the best; all of them are in ``run.trials``."""

Series = dict[str, dict[str, list[Any]]]


def trials(record: RunRecord) -> list[Piece]:
    """What a tuning run's report says."""
    report = record.report or {}
    rows = report.get("trials") or []
    pieces: list[Piece] = [Line(said) for said in (gain_line(record),) if said]
    pieces.append(_counts(rows))
    if rows:
        pieces.append(_grid(record, rows))
    mattered = sorted((report.get("importances") or {}).items(), key=lambda item: -item[1])[:4]
    if mattered:
        said = ", ".join(f"{name} {share:.0%}" for name, share in mattered)
        pieces.append(Facts(((t("tune.importances"), said),)))
    return pieces


def gain_line(record: RunRecord) -> str:
    """What tuning gained, in one sentence, on rows that no trial saw; empty while it runs."""
    gain = (record.report or {}).get("gain")
    name = record.primary_metric or ""
    if not gain:
        return ""
    low, high = gain["interval"]
    key = "tune.percent" if name in UNBOUNDED else "tune.points"
    return t(
        "tune.gained" if gain["gained"] else "tune.nothing",
        gain=t(key, n=f"{100 * gain['points']:+.1f}"),
        metric=name,
        before=metric(gain["default"]),
        after=metric(gain["best"]),
        low=f"{100 * low:+.1f}",
        high=f"{100 * high:+.1f}",
        rows=count(gain["rows"]),
    )


def history(record: RunRecord, series: Series) -> list[Chart]:
    """Each trial's value, and the best so far, over the trials."""
    name = record.primary_metric or ""
    lines = {
        said: series[key] for said, key in ((name, f"eval_{name}"), (t("tune.best"), f"best_{name}")) if key in series
    }
    return [Chart(t("cards.chart.metric"), {n: (s["step"], s["value"]) for n, s in lines.items()})] if lines else []


def _counts(rows: list[dict[str, Any]]) -> Facts:
    ended = {state: sum(row.get("state") == state for row in rows) for state in ("pruned", "failed")}
    return Facts(
        (
            (t("tune.trials"), str(len(rows))),
            *((t(f"tune.{state}"), str(number)) for state, number in ended.items() if number),
        )
    )


def _grid(record: RunRecord, rows: list[dict[str, Any]]) -> Grid:
    """The best trials, with the knobs that vary among all of them."""
    from modelnook.run import trials_table

    table = trials_table(record)
    varied = [
        at
        for at, name in enumerate(table.columns)
        if at >= 4 and len({repr(row[at]) for row in table.rows if row[at] is not None}) > 1
    ]
    heads = (t("tune.trial"), table.columns[2], t("cards.time"), *(table.columns[at] for at in varied))
    cells = tuple(
        (
            t("tune.default") if row[0] == "default" else f"#{row[0]}",
            metric(row[2]) if row[2] is not None else t(f"tune.{row[1]}"),
            duration(row[3]),
            *(_knob(row[at]) for at in varied),
        )
        for row in table.rows[:SHOWN]
    )
    right = tuple(range(1, len(heads)))
    return Grid(heads, cells, right, (0,), more=t("tune.more"), total=len(table.rows))


def _knob(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
