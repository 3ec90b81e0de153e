"""Long inputs in spans: sentences, or parts of long ones, so that the number of predictions has a bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from modelnook.explain.units import Unit

__all__ = ["grouped", "singles"]


def singles(count: int) -> list[range]:
    """Each unit by itself."""
    return [range(i, i + 1) for i in range(count)]


def grouped(units: Sequence[Unit], most: int) -> list[range]:
    """At most ``most`` spans of consecutive units: whole sentences, short ones together, long ones in even parts.

    None goes over from one column into another; where there are more columns than ``most``, each is one.

    >>> def said(text: str) -> list[Unit]:
    ...     return [Unit("text", w, 0, 0, text[:at].count(".")) for at, w in enumerate(text) if w != "."]
    >>> [len(span) for span in grouped(said("ab.cd.efghijkl."), 5)]
    [4, 4, 4]
    """
    columns = len({unit.column for unit in units})
    size = -(-2 * len(units) // max(1, most - columns))
    found: list[range] = []
    for span in _parts(units, size):
        joins = found and units[found[-1].start].column == units[span.start].column
        if joins and len(found[-1]) + len(span) <= size:
            found[-1] = range(found[-1].start, span.stop)
        else:
            found.append(span)
    return found


def _parts(units: Sequence[Unit], size: int) -> Iterator[range]:
    """Sentences, those of more than ``size`` units in even parts."""
    for _, members in groupby(range(len(units)), key=lambda i: units[i].sentence):
        sentence = list(members)
        parts = -(-len(sentence) // size)
        edges = [sentence[0] + round(part * len(sentence) / parts) for part in range(parts + 1)]
        yield from (range(a, b) for a, b in pairwise(edges))
