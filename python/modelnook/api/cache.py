"""Verbs over what downloads have left on the disk: who uses it, and what can go."""

from __future__ import annotations

from collections.abc import Iterator

from modelnook.catalog.base import Held, Source
from modelnook.domain.errors import ModelnookError, NotFoundError, RefusedError, UsageError
from modelnook.domain.model import ModelRef
from modelnook.domain.run import MOVES, RunRecord
from modelnook.domain.table import Table
from modelnook.store import Store

__all__ = ["cache", "rm_cached"]

_COLUMNS = ("model", "source", "bytes", "free", "used_by", "needed_by", "part", "used")


def cache() -> Table:
    """Models on this disk, the largest first: bytes, what ``cache rm`` would free of it, which runs use or need it.

    Models made here, each revision, and those that packages carry are listed too; they go by ``rm`` (``rm topics@1``)
    and ``pip uninstall``.

    Returns:
        A :class:`~modelnook.domain.table.Table`: ``model, source, bytes, free`` (bytes), ``used_by, needed_by`` (runs),
        ``part`` (whether a download was cut short), ``used`` (ISO 8601, UTC).

    Raises:
        StoreError: the store is of a newer modelnook.

    >>> held = mn.cache().to_frame()
    >>> held[held["source"] == "local"]["model"].tolist()
    ['local:spam@1']
    """
    store = Store()
    runs = list(_runs(store))
    rows = [_row(held, runs) for _, held in _brought()]
    rows += [_own(info.ref, "local", info.bytes) for info in store.models.every()]
    rows += [_own(ref, "pip", size) for ref, size in _packaged()]
    return Table(_COLUMNS, tuple(sorted(rows, key=lambda row: -row[2])))


def _row(held: Held, runs: list[tuple[RunRecord, ModelRef]]) -> tuple[object, ...]:
    from datetime import UTC, datetime

    users = [record for record, ref in runs if _means(ref, held.ref)]
    needing = [record for record in users if _needs(record)]
    used = datetime.fromtimestamp(held.used, UTC).isoformat(timespec="seconds") if held.used else None
    names = tuple(f"{r.id} ({r.model or r.name})" for r in users if r.kind not in MOVES)
    return (
        str(held.ref),
        held.ref.source,
        held.bytes,
        0 if needing else held.bytes,
        names,
        tuple(r.id for r in needing),
        held.part or None,
        used,
    )


def _own(ref: str, source: str, size: int | None) -> tuple[object, ...]:
    return (ref, source, size or 0, 0, (), (), None, None)


def rm_cached(ref: str) -> str:
    """Remove a downloaded model, or one revision of it, from this disk; gives what was freed, as a sentence.

    Args:
        ref: the model; without a revision, all that are here.

    Raises:
        NotFoundError: it isn't here.
        RefusedError: a run that goes on, or can be gone on with, needs it.
        UsageError: it wasn't downloaded: made here, a package's, a path.

    >>> from modelnook.api import rm_cached
    >>> spam = mn.publish("spam", "team", license="internal")
    >>> folder = mn.pull("team:spam@1")
    >>> rm_cached("team:spam@1")
    '...team:spam@1...'
    >>> folder.exists()
    False
    """
    from modelnook.cards.figures import size
    from modelnook.catalog.search import locate
    from modelnook.messages import t

    found = locate(ref)
    if found.source.name in ("local", "pip", "path"):
        raise UsageError("api.cache_not_downloaded", ref=ref)
    wanted = found.ref
    held = [h for h in found.source.held() if _means(wanted, h.ref)]
    if not held:
        raise NotFoundError("api.cache_nothing", ref=str(wanted))
    for record, used in _runs(Store()):
        if _needs(record) and any(_means(used, h.ref) for h in held):
            code = "api.cache_live" if record.live else "api.cache_resumable"
            raise RefusedError(code, ref=str(wanted), run=record.id, name=record.name, state=t(f"state.{record.state}"))
    found.source.discard(wanted)
    return t("api.cache_freed", ref=str(wanted), size=size(sum(h.bytes for h in held)))


def _means(one: ModelRef, other: ModelRef) -> bool:
    """Whether two references mean the same model, where either leaves its revision open."""
    same = (one.source, one.id) == (other.source, other.id)
    return same and (not one.revision or not other.revision or one.revision == other.revision)


def _needs(record: RunRecord) -> bool:
    """Whether a run can't do without its model: one that is over has made a model that stands alone."""
    return record.live or (record.resumable and record.kind != "pull")


def _runs(store: Store) -> Iterator[tuple[RunRecord, ModelRef]]:
    """Every run of this machine with each model that it starts from, the newest first."""
    from modelnook.store.runs import folders

    found = []
    for run in folders(store.home / "runs"):
        recipe, record = run.recipe(), run.seen()
        if recipe and record:
            found += [(record, ModelRef.parse(r)) for r in dict.fromkeys((recipe.model, *recipe.models)) if r]
    yield from sorted(found, key=lambda pair: pair[0].created or "", reverse=True)


def _brought() -> Iterator[tuple[Source, Held]]:
    """What every source that can be loaded has brought here."""
    from modelnook.catalog.search import configured, source

    for name in configured():
        try:
            where = source(name)
            held = where.held()
        except ModelnookError:
            continue
        yield from ((where, one) for one in held)


def _packaged() -> Iterator[tuple[str, int | None]]:
    from modelnook.catalog.base import Query
    from modelnook.catalog.search import source

    for info in source("pip").search(Query(limit=1000)):
        yield info.ref, info.bytes
