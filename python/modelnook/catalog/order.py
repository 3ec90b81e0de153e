"""In which order the entries of all sources stand in one list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelnook.catalog.base import Query
from modelnook.catalog.index import Hit
from modelnook.catalog.variants import exactly
from modelnook.domain.model import ModelInfo

__all__ = ["SORTS", "in_order"]

SORTS = ("relevance", "downloads", "likes", "date", "updated", "size")

_NEAREST = 2
"""Sources that stand before all others: what was made here, and what an installed package carries."""


def in_order(hits: Iterable[Hit], query: Query, sources: Sequence[str]) -> list[ModelInfo]:
    """The entries as the query wants them sorted.

    Args:
        sources: those there are, the nearest first.
    """
    place = {name: at for at, name in enumerate(sources)}

    def relevance(hit: Hit) -> tuple[object, ...]:
        info = hit.info
        where = place.get(info.source, 99)
        near = (not exactly(info, query.text), min(where, _NEAREST), hit.tier)
        return (*near, -(info.downloads or 0), where, info.ref)

    if query.sort == "relevance":
        return [hit.info for hit in sorted(hits, key=relevance)]
    found = [hit.info for hit in hits]
    if query.sort == "size":
        return sorted(found, key=lambda i: (i.parameters is None, i.parameters or 0))
    if query.sort in ("downloads", "likes"):
        return sorted(found, key=lambda i: -(getattr(i, query.sort) or 0))
    return sorted(found, key=lambda i: i.updated or "", reverse=True)
