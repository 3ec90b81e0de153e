"""Metrics with their 95% intervals beside baselines, as one table."""

from __future__ import annotations

from collections.abc import Mapping

from modelnook.cards.card import Grid, Line, Piece
from modelnook.cards.figures import interval, metric
from modelnook.domain.run import unbeaten
from modelnook.messages import has, t

__all__ = ["scores"]

MOST = 6


def scores(
    metrics: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    baselines: Mapping[str, Mapping[str, float]],
    primary: str | None,
    keeping: Mapping[str, str] | None = None,
) -> list[Piece]:
    """The primary metric first and strong; a baseline is a column. One that the model doesn't beat is said in words.

    Args:
        keeping: baseline -> the command that makes it the model, for those that can be.
    """
    names = sorted(metrics, key=lambda n: n != primary)[:MOST]
    bases = sorted(baselines)
    rows = tuple(
        (n, metric(metrics[n]), interval(intervals.get(n)), *(metric(baselines[b].get(n)) for b in bases))
        for n in names
    )
    heads = (t("cards.column.metric"), t("cards.column.value"), t("cards.column.interval"), *map(_base, bases))
    found: list[Piece] = [Grid(heads, rows, tuple(range(1, len(heads))), (0,) if primary in metrics else ())]
    ahead = unbeaten(dict(metrics), {b: dict(baselines[b]) for b in bases}, primary)
    if ahead and primary:
        reached = metric(baselines[ahead][primary])
        said = {"baseline": _base(ahead), "metric": primary, "value": reached}
        keep = (keeping or {}).get(ahead)
        # A tie is no reason to give up what reads texts that the baseline has never seen the words of.
        if keep is None or baselines[ahead][primary] == metrics[primary]:
            text = t("cards.unbeaten", **said)
        else:
            low, high = intervals.get(primary) or (None, None)
            near = low is not None and high is not None and low <= baselines[ahead][primary] <= high
            text = t("cards.unbeaten_near" if near else "cards.unbeaten_keep", **said, command=keep)
        found.append(Line(text, "warn"))
    return found


def _base(name: str) -> str:
    key = f"cards.baseline.{name}"
    return t(key) if has(key) else name
