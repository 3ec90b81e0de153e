"""Metrics with their 95% intervals beside baselines, as one table."""

from __future__ import annotations

from collections.abc import Mapping

from modelnook.cards.card import Grid
from modelnook.cards.figures import interval, metric
from modelnook.messages import has, t

__all__ = ["scores"]

MOST = 6


def scores(
    metrics: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    baselines: Mapping[str, Mapping[str, float]],
    primary: str | None,
) -> Grid:
    """The primary metric first and strong; a baseline is a column."""
    names = sorted(metrics, key=lambda n: n != primary)[:MOST]
    bases = sorted(baselines)
    rows = tuple(
        (n, metric(metrics[n]), interval(intervals.get(n)), *(metric(baselines[b].get(n)) for b in bases))
        for n in names
    )
    heads = (t("cards.column.metric"), t("cards.column.value"), t("cards.column.interval"), *map(_base, bases))
    return Grid(heads, rows, tuple(range(1, len(heads))), (0,) if primary in metrics else ())


def _base(name: str) -> str:
    key = f"cards.baseline.{name}"
    return t(key) if has(key) else name
