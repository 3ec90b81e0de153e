"""The card of a bare table (``ps``, ``sources``): cells said by the name of their column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelnook.cards import figures
from modelnook.cards.card import Card, Grid, Line
from modelnook.domain.table import Table
from modelnook.messages import has, t

__all__ = ["cell", "grid", "heading", "settings", "table"]

# The tables that verbs give are known by their first columns.
_TITLES = {
    "model source bytes": "cache",
    "name kind url": "sources",
    "source models note": "refreshed",
    "alias version author": "aliases",
    "state name what": "ps",
    "version author updated": "versions",
}

_CELLS: dict[str, Callable[[Any], str]] = {
    "bytes": figures.size,
    "free": figures.size,
    "memory": figures.size,
    "peak_memory_bytes": figures.size,
    "parameters": figures.count,
    "downloads": figures.count,
    "models": figures.count,
    "rows": figures.count,
    "p50_ms": figures.millis,
    "p95_ms": figures.millis,
    "rows_per_s": lambda n: figures.rate(n).split("/")[0].split(" ")[0],
    "started": figures.moment,
    "ended": figures.moment,
    "updated": figures.moment,
    "refreshed": figures.moment,
    "used": figures.moment,
    "withdrawn": figures.moment,
}
_WORDS = {"state": "state", "what": "cards.kind", "kind": "cards.kind"}


def cell(column: str, value: Any) -> str:
    """A value as its column says it."""
    if value is None or value == "":
        return ""
    if column in _CELLS and isinstance(value, int | float | str):
        return _CELLS[column](value)
    if isinstance(value, bool):
        return t("cards.yes") if value else ""
    if isinstance(value, float):
        return figures.metric(value) if not value or abs(value) >= 1e-3 else f"{value:.3g}"
    if isinstance(value, tuple | list):
        if len(value) == 2 and all(isinstance(v, int | float) for v in value):
            return figures.interval((value[0], value[1]))
        return ", ".join(map(str, value))
    key = f"{_WORDS.get(column, '')}.{value}"
    return t(key) if column in _WORDS and has(key) else str(value)


def heading(column: str) -> str:
    """A column's heading; metrics keep their own names."""
    key = f"cards.column.{column}"
    return t(key) if has(key) else column


def grid(table: Table, *, strong: tuple[int, ...] = (), more: str = "") -> Grid:
    """A table's cells as texts; columns that nobody fills are left out."""
    used = [i for i, _ in enumerate(table.columns) if any(row[i] not in (None, "", ()) for row in table.rows)]
    columns = [table.columns[i] for i in used]
    rows = tuple(tuple(cell(c, row[i]) for c, i in zip(columns, used, strict=True)) for row in table.rows)
    right = tuple(n for n, i in enumerate(used) if _numeric(table, i))
    return Grid(tuple(heading(c) for c in columns), rows, right, strong, more=more)


def _numeric(table: Table, i: int) -> bool:
    values = [row[i] for row in table.rows if row[i] is not None]
    return bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def settings(value: dict[str, Any]) -> Card:
    """Names and values as they are in force."""
    switches = {True: t("cards.on"), False: t("cards.off")}
    rows = tuple((name, switches[said] if isinstance(said, bool) else str(said)) for name, said in value.items())
    return Card(t("cards.title.settings"), pieces=(Grid(("", ""), rows),), hint=t("cards.setting_next"))


def table(value: Table) -> Card:
    """A titled table, or one line that says that it is empty."""
    name = _TITLES.get(" ".join(value.columns[:3]), "")
    title = t(f"cards.title.{name}") if name else t("cards.title.table", n=len(value))
    if not value.rows:
        return Card(title, pieces=(Line(t(f"cards.empty.{name}") if name else t("cards.empty.table")),))
    hint = _can_go(value) if name == "cache" else ""
    warnings = _unread(value) if name == "refreshed" else ()
    rows = tuple((*row[:2], "" if row[2] in warnings else row[2]) for row in value.rows) if warnings else value.rows
    return Card(title, pieces=(grid(Table(value.columns, rows)),), warnings=warnings, hint=hint)


def _unread(value: Table) -> tuple[str, ...]:
    """Why sources couldn't be read, and what to do: a cell would cut that off."""
    return tuple(dict.fromkeys(note for _, models, note in value.rows if models is None and note))


def _can_go(value: Table) -> str:
    """What ``cache rm`` could free in all, and how."""
    free = value.columns.index("free")
    most = max(value.rows, key=lambda row: row[free])
    total = sum(row[free] for row in value.rows)
    return t("cards.cache_next", size=figures.size(total), ref=most[0]) if total else ""
