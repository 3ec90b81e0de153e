"""The list of verbs and the help of one verb. Not a result: as long as it needs to be."""

from __future__ import annotations

from typing import Any

from modelnook.cards.card import Card, Grid, Line

__all__ = ["help"]


def help(page: Any) -> Card:
    """A page of :mod:`modelnook.verbs.help`."""
    rows: list[Line | Grid] = [Line(page.lead)]
    for title, entries in page.sections:
        rows.append(Grid(("", ""), tuple(entries), caption=title))
    return Card(page.title, pieces=tuple(rows), hint=page.foot, whole=True)
