"""Verbs that keep the catalogue fresh and the person's folder tidy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from modelnook.domain.table import Table
from modelnook.settings import current
from modelnook.store import Store
from modelnook.store.files import read_json, write_json

if TYPE_CHECKING:
    from modelnook.catalog.refresh import Outcome

__all__ = ["gc_sources", "refresh_sources", "refreshed"]

_LIMIT = 10_000


def refresh_sources(name: str | None = None, *, limit: int = _LIMIT) -> Table:
    """Read what sources have into the local index, one or all: entries known now, and what was said on the way.

    From nothing a hub takes a call a thousand models; later only what changed is asked for. One that was killed, or
    that the hub stopped, goes on where it was.

    Args:
        name: the source; all of them without it.
        limit: the most entries of a source on the network, the most downloaded first; what is known beyond stays.

    Returns:
        A :class:`~modelnook.domain.table.Table`: ``source, models, note``; a source that failed has its error there.

    Raises:
        UsageError: no such source.
        StoreError: the disk refuses.

    >>> from modelnook.api import refresh_sources
    >>> refresh_sources("local").to_frame()[["source", "models"]].values.tolist()
    [['local', 1]]
    """
    from modelnook.catalog.search import configured
    from modelnook.domain.errors import unknown

    known = configured()
    if name is not None and name not in known:
        raise unknown("source", name, known)
    rows = tuple((one, *_refresh(one, limit)) for one in ([name] if name else known))
    return Table(("source", "models", "note"), rows)


def _refresh(name: str, limit: int) -> tuple[int | None, str]:
    from modelnook.catalog.index import CatalogIndex
    from modelnook.catalog.refresh import refresh
    from modelnook.catalog.search import environment, is_silence, note_silence, source
    from modelnook.domain.errors import ModelnookError
    from modelnook.store.runs import now

    store = Store()
    try:
        where: Any = source(name)
        if where.networked:
            done = refresh(where, CatalogIndex(store.home), limit, now())
            count, note = done.models, _told(store, where, done)
        else:
            found = where.listing(limit)
            store.index.put_models(name, found, env=environment() if name == "pip" else "", replace=True)
            count, note = len(found), ""
    except ModelnookError as error:
        note_silence(name, silent=is_silence(error))
        return None, str(error)
    store.index.touch("models", name)
    note_silence(name, silent=False)
    write_json(store.home / "sources.json", {**refreshed(), name: now()})
    if where.kind == "folder":
        _take_runs(store, where, where.run_files)
    return count, note


def _told(store: Store, where: Any, done: Outcome) -> str:
    """What a refresh has read, and of a hub the colleagues' runs that came with it."""
    from modelnook.catalog.hub_runs import HubRuns
    from modelnook.catalog.refresh import CALLS, CALLS_FROM_NOTHING
    from modelnook.domain.errors import ModelnookError
    from modelnook.messages import t

    calls, more = done.calls, ""
    if where.kind == "hub":
        runs = HubRuns(where, (CALLS_FROM_NOTHING if done.whole else CALLS) - calls)
        try:
            taken = _take_runs(store, where, runs.files)
            more = t("api.took_runs", n=taken) if taken else ""
        except ModelnookError as error:
            more = t("api.took_no_runs", why=error.message)
        calls += runs.calls
    note = t("api.refreshed", read=done.read, calls=calls) if calls else ""
    return note + (t("api.waited", seconds=done.waited) if done.waited else "") + more


def _take_runs(store: Store, where: Any, files: Callable[[set[str]], Iterable[tuple[str, bytes]]]) -> int:
    """List the runs that colleagues published with their models; how many are new."""
    from modelnook.store.received import adopt

    known = {id for id, _ in store.index.names(-1)}
    return sum(adopt(store, data, where.name, ref) is not None for ref, data in files(known))


def refreshed() -> dict[str, Any]:
    """Source -> when it was last refreshed."""
    said = read_json(current().home / "sources.json")
    return said if isinstance(said, dict) else {}


def gc_sources() -> str:
    """Forget entries of removed sources, remove rows, downloads and leftovers that nothing uses; what was freed.

    Raises:
        StoreError: the store is of a newer modelnook.

    >>> from modelnook.api import gc_sources
    >>> print(gc_sources())
    Nothing ...
    """
    from modelnook.cards.figures import size
    from modelnook.messages import t
    from modelnook.store.tidy import leftovers, remove_all, snapshots

    store = Store()
    forgotten = _forget(store)
    freed = remove_all([*snapshots(store), *leftovers(store), *_caches(store), *_curves(store)])
    shared, left = _shared()
    parts = [t("api.gc_entries", n=forgotten)] if forgotten else []
    parts += [t("api.gc_shared", source=name, n=count, size=size(total)) for name, (count, total) in shared.items()]
    parts += [t(f"api.gc_{what}", n=count, size=size(total)) for what, (count, total) in sorted(freed.items())]
    every = sum(total for _, total in (*shared.values(), *freed.values()))
    said = [t("api.gc_freed", size=size(every), parts=", ".join(parts))] if parts else []
    return "\n".join([*said, *left]) or t("api.gc_nothing")


def _shared() -> tuple[dict[str, tuple[int, int]], list[str]]:
    """``(what was freed in the team's places, a sentence for each where nothing could be)``."""
    from modelnook.catalog.search import configured, source
    from modelnook.domain.errors import ModelnookError
    from modelnook.messages import t

    freed, left = dict[str, tuple[int, int]](), list[str]()
    for name, kind in configured().items():
        if kind != "folder":
            continue
        try:
            where: Any = source(name)
            count, total = where.gc()
        except ModelnookError as error:
            left.append(t("api.gc_failed", source=name, error=f"{error.message} {error.hint}"))
            continue
        if count:
            freed[name] = (count, total)
    return freed, left


def _forget(store: Store) -> int:
    """Drop the index's entries of sources that are no more; how many."""
    from modelnook.catalog.index import CatalogIndex
    from modelnook.catalog.search import configured

    held, known = Counter(store.index.counts()), configured()
    index = CatalogIndex(store.home)
    held.update(index.counts())
    gone = [name for name in held if name not in known]
    for name in gone:
        store.index.put_models(name, (), replace=True)
        index.drop(name)
    return sum(held[name] for name in gone)


def _caches(store: Store) -> Iterator[Any]:
    """Downloads of sources that are named no more."""
    from modelnook.catalog import NETWORKED
    from modelnook.catalog.folder_cache import cache_folder
    from modelnook.catalog.hub import cache_of
    from modelnook.catalog.shared_cache import SharedCache

    added = [(s.get("kind", "hub"), s["url"]) for s in current().sources if s.get("url")]
    used = {cache_of(url.rstrip("/")) for kind, url in added if kind == "hub"}
    used |= {SharedCache(url).path for kind, url in added if kind == "folder"}
    used |= {cache_folder(kind, url.rstrip("/")) for kind, url in added}
    for place in (store.home / "cache" / kind for kind in ("folder", *NETWORKED)):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path not in used:
                yield "cache", path


def _curves(store: Store) -> Iterator[Any]:
    """Curves of colleagues' runs that are listed no more."""
    from modelnook.jobs.foreign import place

    listed = {id for id, _ in store.index.names(-1)}
    for path in sorted(place(store).iterdir()) if place(store).is_dir() else ():
        if path.name not in listed:
            yield "curves", path
