"""What a quantizing run tried, as one table and a chart of quality over speed."""

from __future__ import annotations

from typing import Any

from modelnook.cards.card import Dot, Dots, Grid, Piece
from modelnook.cards.figures import count, duration, metric, millis, size
from modelnook.domain.front import front
from modelnook.domain.run import LOWER_IS_BETTER, UNBOUNDED, off_cpu
from modelnook.messages import t

__all__ = ["candidates"]

Tried = dict[str, Any]

_ORIGINAL = "0"
_COLUMNS = (("bytes",), ("p50_ms", "p95_ms"), ("rows_per_s",), ("load_s",), ("peak_memory_bytes",))


def candidates(report: dict[str, Any], run: str = "") -> list[Piece]:
    """Nothing where one attempt was all: before and after say it then."""
    tried: list[Tried] = sorted(report.get("attempts") or [], key=_order)
    if len(tried) < 2:
        return []
    name = report.get("metric") or ""
    elsewhere = off_cpu(tried)
    rows = tuple(
        (*_row(number, one, report), *((one.get("device") or "cpu",) if elsewhere else ()))
        for number, one in enumerate(tried, 1)
    )
    chosen = tuple(place for place, one in enumerate(tried) if _chosen(one, report))
    heads = [" / ".join(t(f"cards.column.{n}") for n in names) for names in _COLUMNS]
    drop = t("cards.drop_percent" if name in UNBOUNDED else "cards.drop")
    columns = ("", name, drop, *heads, *((t("cards.column.device"),) if elsewhere else ()))
    numbers, more = tuple(range(1, 3 + len(heads))), t("cards.more_tried", run=run, n="{n}")
    caption = t("cards.tried" if report.get("after") else "cards.tried_none", n=len(tried))
    # Before and after are what the card is about; of a refused one there is no after.
    done = bool(report.get("after"))
    brief = t("cards.tried_brief", n=len(tried), run=run)
    grid = Grid(columns, rows, numbers, chosen, caption, more=more, first=not done, brief=brief)
    return [grid, _chart(tried, report, name)]


def _order(one: Tried) -> tuple[bool, float]:
    return not one["accepted"], -(one.get("rows_per_s") or 0.0)


def _called(one: Tried) -> str:
    """A candidate in words: ``onnx int8 static``."""
    said = (n if v is True else f"{n}={v:g}" for n, v in (one.get("options") or {}).items())
    return " ".join((one["backend"], one.get("scheme") or "", *said)).strip()


def _chosen(one: Tried, report: dict[str, Any]) -> bool:
    return all(one.get(key) == report.get(key) for key in ("backend", "scheme", "options"))


def _row(number: int, one: Tried, report: dict[str, Any]) -> tuple[str, ...]:
    mark = " ←" if _chosen(one, report) else "" if one["accepted"] else f" · {t('cards.too_far')}"
    return (
        f"{number} {_called(one)}{mark}",
        metric(one["value"]),
        _points(one),
        size(one.get("bytes")),
        " / ".join(filter(None, (millis(one.get("p50_ms")), millis(one.get("p95_ms"))))),
        count(one.get("rows_per_s")),
        duration(one.get("load_s")),
        size(one.get("peak_memory_bytes")),
    )


def _points(one: Tried) -> str:
    """The drop in points or percent, and what it may be at most and least with 95% certainty."""
    low, high = one.get("interval") or (None, None)
    between = f" ({100 * low:+.1f} … {100 * high:+.1f})" if low is not None and high is not None else ""
    return f"{100 * one['drop']:+.1f}{between}"


def _chart(tried: list[Tried], report: dict[str, Any], name: str) -> Dots:
    before = report.get("before") or {}
    start = {**before, "value": (before.get("metrics") or {}).get(name), "backend": t("cards.original")}
    every = [(_ORIGINAL, start), *((str(number), one) for number, one in enumerate(tried, 1))]
    known = [(n, one) for n, one in every if None not in (one.get("value"), one.get("rows_per_s"), one.get("bytes"))]
    sign = -1.0 if name in LOWER_IS_BETTER else 1.0
    best = front([(n, sign * one["value"], one["bytes"], -one["rows_per_s"]) for n, one in known])
    dots = tuple(Dot(n, _called(one), one["rows_per_s"], one["value"], n in best) for n, one in known)
    title = "".join((t("cards.chart.tried", metric=name), *_named(known, report)))
    return Dots(title, t("cards.column.rows_per_s"), dots)


def _named(known: list[tuple[str, Tried]], report: dict[str, Any]) -> list[str]:
    """What marks of the chart mean that the table's numbers don't say."""
    return [
        t("cards.chart.mark_original" if mark == _ORIGINAL else "cards.chart.mark_taken", mark=mark)
        for mark, one in known
        if mark == _ORIGINAL or _chosen(one, report)
    ]
