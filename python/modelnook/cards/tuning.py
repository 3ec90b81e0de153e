"""The card of a tuning run: what it gained, the trials or what none of them beats, which knobs mattered."""

from __future__ import annotations

from typing import Any

from modelnook.cards.card import Chart, Dot, Dots, Facts, Grid, Line, Piece, Shares
from modelnook.cards.figures import count, duration, interval, metric, millis, size
from modelnook.domain.run import RunRecord, amount
from modelnook.domain.table import Table
from modelnook.domain.trials import front_table, trials_table
from modelnook.messages import t
from modelnook.tune import DEFAULT, MEASURED

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
    if report.get("front"):
        pieces += [_front(record, report), _dots(record, report, rows)]
    elif rows:
        pieces.append(_grid(record, rows))
    mattered = sorted((report.get("importances") or {}).items(), key=lambda item: -item[1])
    if mattered:
        pieces.append(Shares(t("tune.importances"), t("tune.knob"), t("tune.share"), tuple(mattered)))
    return pieces


def gain_line(record: RunRecord) -> str:
    """What tuning gained, in one sentence, on rows that no trial saw; empty while it runs."""
    gain = (record.report or {}).get("gain")
    name = record.primary_metric or ""
    if not gain:
        return ""
    low, high = gain["interval"]
    return t(
        "tune.gained" if gain["gained"] else "tune.nothing",
        gain=amount(name, gain["points"], "+.1f"),
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


def _front(record: RunRecord, report: dict[str, Any]) -> Grid:
    """The trials that no other beats, with what tells them apart."""
    table = front_table(record)
    names = report["objectives"]
    held = 1 + len(names)
    varied = _varied(table, held + 4)
    heads = (
        t("tune.trial"),
        *(_named(name) for name in names),
        *((t("tune.holdout", metric=names[0]),) if record.state == "finished" else ()),
        *(table.columns[at] for at in varied),
    )
    cells = tuple(
        (
            _number(row[0]),
            *(_measure(name, value) for name, value in zip(names, row[1:held], strict=True)),
            *((f"{metric(row[held])} ({interval(row[held + 1 : held + 3])})",) if record.state == "finished" else ()),
            *(_knob(row[at]) for at in varied),
        )
        for row in table.rows
    )
    said = t("tune.front", objectives=", ".join(_named(name) for name in names))
    return Grid(heads, cells, tuple(range(1, len(heads))), (0,), said, more=t("tune.more_front"), total=len(cells))


def _dots(record: RunRecord, report: dict[str, Any], rows: list[dict[str, Any]]) -> Dots:
    """Every trial: the first objective over the second."""
    name, other = report["objectives"][:2]
    best = [row["number"] for row in report["front"]]
    dots = tuple(
        Dot(_number(row["number"]), _number(row["number"]), row["values"][1], row["values"][0], row["number"] in best)
        for row in rows
        if row.get("state") == "finished"
    )
    return Dots(t("tune.chart", metric=_named(name), other=_named(other)), _named(other), dots)


def _named(objective: str) -> str:
    return t(f"tune.objective_{objective}") if objective in MEASURED else objective


def _measure(name: str, value: float | None) -> str:
    return size(value) if name == "size" else millis(value) if name == "latency" else metric(value)


def _number(number: int | str) -> str:
    return t("tune.default") if number == DEFAULT else f"#{number}"


def _varied(table: Table, start: int) -> list[int]:
    """The columns from ``start`` on that aren't the same in all rows."""
    return [
        at
        for at in range(start, len(table.columns))
        if len({repr(row[at]) for row in table.rows if row[at] is not None}) > 1
    ]


def _grid(record: RunRecord, rows: list[dict[str, Any]]) -> Grid:
    """The best trials, with the knobs that vary among all of them."""
    table = trials_table(record)
    varied = _varied(table, 4)
    heads = (t("tune.trial"), table.columns[2], t("cards.time"), *(table.columns[at] for at in varied))
    cells = tuple(
        (
            _number(row[0]),
            metric(row[2]) if row[1] == "finished" else t(f"tune.{row[1]}"),
            duration(row[3]),
            *(_knob(row[at]) for at in varied),
        )
        for row in table.rows[:SHOWN]
    )
    right = tuple(range(1, len(heads)))
    return Grid(heads, cells, right, (0,), more=t("tune.more"), total=len(table.rows))


def _knob(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
