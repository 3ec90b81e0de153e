"""One list over all sources, and one way to find what a reference means."""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from modelnook.catalog import NETWORKED, SOURCES
from modelnook.catalog.base import Query, Source
from modelnook.catalog.folder_cache import FolderCache, cache_folder
from modelnook.catalog.git_search import searchable
from modelnook.catalog.index import CatalogIndex, Hit, Page
from modelnook.catalog.order import SORTS, in_order
from modelnook.catalog.variants import grouped, one_row_each
from modelnook.catalog.words import concepts, name_words
from modelnook.domain.errors import ModelnookError, NotFoundError, OfflineError, StoreError, UsageError, near, unknown
from modelnook.domain.event import Emit
from modelnook.domain.model import ModelInfo, ModelRef, SearchResult
from modelnook.domain.run import LIVE
from modelnook.messages import t
from modelnook.settings import current
from modelnook.store import Store

__all__ = [
    "Found",
    "configured",
    "facets",
    "fell_silent",
    "fetch",
    "info",
    "is_silence",
    "locate",
    "note_silence",
    "resolve",
    "room_at",
    "search",
    "source",
]

_DEADLINE = 3.5
# Variants fold into the model they come from, so that a page needs more rows than it shows.
_ROWS_A_PAGE, _ROWS_MORE = 3, 20
# Names of architectures, as those who publish a base put them into its own.
_BASE = re.compile(
    r"bert|gpt|llama|qwen|gemma|mistral|minilm|mpnet|electra|ernie|whisper|wav2vec|smollm|\b(t5|bge|phi)\b", re.I
)
# Kinds whose lists nobody reads whole. A team's folder is asked each time: what was published just now is there.
_VAST = ("hub", "kaggle", "modelscope")
_IN_FOLDERS = ("git", "kaggle", "modelscope")


class Found:
    """What a reference means: the full reference, its source, and a note where a second source has the name too."""

    def __init__(self, ref: ModelRef, source: Source, note: str = "") -> None:
        self.ref, self.source, self.note = ref, source, note


def configured() -> dict[str, str]:
    """Source name -> kind, in the order in which a bare name is looked up; the hub comes last."""
    added = {s["name"]: s.get("kind", "hub") for s in current().sources}
    return {"local": "local", "pip": "pip", **added, "hub": "hub"}


def source(name: str) -> Source:
    """A source by the name before the colon.

    Raises:
        UsageError: no such source.
        StoreError: none that is known, and the settings, which would tell, can't be read.
        MissingPackage: its client library isn't installed.
    """
    kinds = configured()
    if name not in kinds and name != "path":
        raise current().damaged() or unknown("source", name, kinds)
    return SOURCES.load(kinds.get(name, name))(name)


def resolve(text: str | ModelRef) -> Found:
    """Find what a reference means, down to the revision. The hub is asked only for ``hub:…`` or ``owner/name``.

    Raises:
        UsageError: not a reference.
        NotFoundError: nobody has it; a near miss is suggested.
    """
    found = locate(text)
    pinned = _pinned(found.source, found.ref)
    return Found(pinned.ref, pinned.source, found.note)


def locate(text: str | ModelRef) -> Found:
    """The source that a reference means, by names alone: no network is asked, no revision pinned. Raises as above."""
    ref = ModelRef.parse(text) if isinstance(text, str) else text
    if ref.source:
        return Found(ref, source(ref.source))
    if ref.id == "last":
        return Found(_newest(ref), source("local"))
    homes = [name for name in configured() if name != "hub"]
    holders = [name for name in homes if _has(name, ref)]
    if holders:
        more = ""
        if len(holders) > 1:
            other = str(ModelRef(holders[1], ref.id))
            more = t("catalog.second_match", source=holders[0], other=holders[1], ref=other)
        return Found(ModelRef(holders[0], ref.id, ref.revision), source(holders[0]), more)
    if "/" in ref.id:
        return Found(ModelRef("hub", ref.id, ref.revision), source("hub"))
    raise _missing(ref, homes)


def _pinned(where: Source, ref: ModelRef) -> Found:
    """With the revision that this reference means now, and a path from the root: a job's record must stay true."""
    if where.name == "path":
        return Found(ModelRef("path", str(where.fetch(ref, lambda event: None))), where)
    return Found(where.pinned(ref), where)


def _has(name: str, ref: ModelRef) -> bool:
    try:
        return source(name).has(ref.id)
    except ModelnookError:
        return False


def _newest(ref: ModelRef) -> ModelRef:
    for record in Store().index.runs(limit=200):
        if record.model and record.origin == "local":
            return ModelRef.parse(record.model)
    raise NotFoundError("catalog.no_last", ref=ref)


def _missing(ref: ModelRef, homes: Iterable[str]) -> ModelnookError:
    homes = list(homes)
    if (damaged := current().damaged()) is not None:
        return damaged
    making = next((r for state in LIVE for r in Store().index.runs(state=state) if r.name == ref.id), None)
    if making is not None:
        return NotFoundError("catalog.in_the_making", ref=str(ref), run=making.id)
    known: list[str] = []
    for name in homes:
        try:
            known += source(name).names()
        except ModelnookError:
            continue
    close = near(ref.id, known)
    values = {"ref": str(ref), "sources": ", ".join(homes), "words": ref.id, "near": close}
    if not close and _BASE.search(ref.id):
        return NotFoundError("catalog.no_base_here", **values)
    return NotFoundError("catalog.no_model_near" if close else "catalog.no_model", **values)


def info(text: str | ModelRef) -> tuple[ModelInfo, str]:
    """``(everything known of a model, note)``; no weights are downloaded.

    Where its source can't be asked, what the index has of it, and the note says so.
    """
    try:
        found = resolve(text)
        said = found.source.info(found.ref)
        here = None if said.path else found.source.here(found.ref)
        said = replace(said, also=_elsewhere(said))
        return (replace(said, path=str(here)) if here else said), found.note
    except OfflineError as error:
        ref = ModelRef.parse(text) if isinstance(text, str) else text
        name, index = ref.source or "hub", CatalogIndex(current().home)
        known = index.get(name, ref.id)
        if known is None:
            raise
        when = index.meta(name).get("refreshed", "")[:10]
        return known, t("catalog.from_index", when=when, why=error.message)


def _elsewhere(info: ModelInfo) -> tuple[str, ...]:
    """The references under which other sources have the same files, as far as is known here; nobody is asked."""
    if info.source == "local" and not info.digest:  # models made here are their own until they are published
        return ()
    index, known = CatalogIndex(current().home), list[ModelInfo]()
    for name in configured():
        # What a damaged index has elsewhere is no reason to say nothing of this one.
        with suppress(StoreError):
            known += filter(None, [index.get(name, info.id)])
    known = [i for i in (*known, *Store().index.models()) if i.source != info.source]
    return one_row_each([info, *known])[0].also


def room_at(info: ModelInfo) -> int | None:
    """Bytes free where a model would be downloaded to; None for one that is here."""
    if info.path or not (where := source(info.source)).networked:
        return None
    cache = getattr(where, "cache", current().home)
    place = Path(getattr(cache, "path", cache))
    there = next((p for p in (place, *place.parents) if p.is_dir()), None)
    return shutil.disk_usage(there).free if there else None


def fetch(ref: ModelRef, emit: Emit, *, stop: Callable[[], bool] = lambda: False) -> Path:
    """The local folder of a resolved reference, downloaded first where it isn't here."""
    return source(ref.source or "local").fetch(ref, emit, stop=stop)


def search(query: Query, only: str | None = None, *, live: Iterable[str] | None = None) -> SearchResult:
    """Look into the index of every source, then ask, side by side, those whose index doesn't fill the page.

    Sources that fail or are off are named in the notes; the same files in two sources are one entry, and variants stand
    under the model that they come from.

    Args:
        only: one source's name.
        live: the sources that may be asked themselves (the server asks none itself).
    """
    if query.sort not in SORTS:
        raise UsageError("catalog.bad_sort", sort=query.sort, known=", ".join(SORTS))
    query = replace(query, sort="updated") if query.sort == "date" else query
    if only and only not in configured():
        raise current().damaged() or unknown("source", only, configured())
    names = [only] if only else list(configured())
    pages, notes, silent = _pages(names, query, set(names if live is None else live))
    # Sources that were added are missing without it, and it is why nothing is asked.
    told = (damaged.message,) if (damaged := current().damaged()) else tuple(notes.values())
    found = [hit for page in pages for hit in page.hits]
    kept = grouped(one_row_each(in_order(found, query, list(configured()))), query)
    total = sum(page.total for page in pages)
    more = any(page.more for page in pages)
    return SearchResult(
        tuple(kept[: query.limit]),
        query.text,
        told,
        max(total, len(kept)),
        more=more,
        silent={name: notes[name] for name in silent},
    )


def _pages(names: list[str], query: Query, asked: set[str]) -> tuple[list[Page], dict[str, str], list[str]]:
    """Each source's page, in their order, what there is to say of those that have none, and who was silent.

    The indexes are looked into here, in milliseconds; only who must be asked is waited for on threads.
    """
    index = CatalogIndex(current().home)
    wide = replace(query, limit=_ROWS_A_PAGE * query.limit + _ROWS_MORE)
    kinds = configured()
    pages = {name: index.search(name, wide) for name in names}
    notes: dict[str, str] = {}
    left = [n for n in names if len(pages[n].hits) < query.limit or (n in asked and kinds.get(n) not in _VAST)]
    askable = [n for n in left if n in asked and (kinds.get(n) != "git" or searchable(n, query))]
    waited = [n for n in askable if not _off(kinds.get(n))]
    for name in left:
        if name not in waited:
            pages[name] = _with(pages[name], _remembered(name, query), query)
            notes[name] = t("catalog.offline", source=name) if name in askable else ""
    silent = _wait_for(waited, query, pages, notes) if waited else []
    return [pages[name] for name in names], {name: notes[name] for name in names if notes.get(name)}, silent


def _off(kind: str | None) -> bool:
    """Whether a kind of source isn't to be asked now."""
    settings = current()
    return settings.hub_offline if kind == "hub" else kind in NETWORKED and settings.offline


def _wait_for(names: list[str], query: Query, pages: dict[str, Page], notes: dict[str, str]) -> list[str]:
    """Ask sources side by side, within the deadline; their answers go into the pages, or what is known without.

    Returns:
        Those that weren't there or in reach.
    """
    pool = ThreadPoolExecutor(len(names), thread_name_prefix="modelnook-search")
    jobs = {name: pool.submit(_ask, name, query) for name in names}
    wait(jobs.values(), _DEADLINE)
    pool.shutdown(wait=False, cancel_futures=True)
    all_silent = []
    for name, job in jobs.items():
        silent = False
        try:
            pages[name] = _with(pages[name], job.result(timeout=0), query)
        except (TimeoutError, CancelledError):
            silent, notes[name] = True, t("catalog.source_failed", source=name, error=t("hub.why_timeout"))
        except ModelnookError as error:
            silent = is_silence(error)
            named = re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", error.message)
            notes[name] = error.message if named else t("catalog.source_failed", source=name, error=error.message)
        note_silence(name, silent=silent)
        all_silent += [name] if silent else []
        if name in notes:
            pages[name] = _with(pages[name], _remembered(name, query), query)
    return all_silent


def is_silence(error: ModelnookError) -> bool:
    """Whether an error means that a source isn't there or in reach; one that refuses, for now too, has answered."""
    return isinstance(error, (NotFoundError, OfflineError)) and error.code != "hub.rate_limit"


def note_silence(name: str, *, silent: bool) -> None:
    """Keep whether a source answered when it was asked last, for whoever lists the sources; offline none is asked."""
    if silent and (current().hub_offline if configured().get(name) == "hub" else current().offline):
        return
    path = _silence(name)
    with suppress(OSError):
        if silent:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        else:
            path.unlink(missing_ok=True)


def fell_silent(name: str) -> bool:
    """Whether a source didn't answer when it was asked last."""
    return _silence(name).exists()


def _silence(name: str) -> Path:
    return current().home / "catalogue" / f"{name}.silent"


def _with(page: Page, items: list[ModelInfo], query: Query) -> Page:
    """A page of the index with what it hasn't."""
    known = {hit.info.ref for hit in page.hits}
    new = [i for i in items if i.ref not in known and query.matches(i)]
    return Page((*page.hits, *(Hit(i, _tier(i, query)) for i in new)), page.total + len(new), page.more)


def _tier(info: ModelInfo, query: Query) -> int:
    """How near an entry that no index holds is to the words: by its name, or by what is said of it."""
    name = f"{info.id} {info.name}"
    hay, words = name.lower(), frozenset(name_words(name))
    return 0 if all(c.said_in(hay, words, info.task, info.language) for c in concepts(query.text)) else 1


def _ask(name: str, query: Query) -> list[ModelInfo]:
    where = source(name)
    items = where.search(query)
    if name == "pip":
        remember_pip(where)
    elif name != "local":
        Store().index.put_models(name, items)
    return items


def _remembered(name: str, query: Query) -> list[ModelInfo]:
    if name == "local":
        return source("local").search(query)
    known = {info.ref: info for info in (*_brought(name), *Store().index.models(source=name))}
    # The words are looked for by the query itself, which knows what they mean.
    return [i for i in known.values() if query.matches(i)]


def _brought(name: str) -> list[ModelInfo]:
    """What lies in the cache of an added source; the hub's client has a cache of its own form."""
    added = next((s for s in current().sources if s["name"] == name), {})
    if added.get("kind") not in _IN_FOLDERS:
        return []
    return FolderCache(cache_folder(str(added["kind"]), str(added.get("url") or "").rstrip("/"))).entries(name)


def facets(query: Query, only: str | None = None) -> dict[str, dict[str, int]]:
    """How many of the matches in the indexes have which task, kind of licence, language, format, source."""
    if only and only not in configured():
        raise current().damaged() or unknown("source", only, configured())
    index = CatalogIndex(current().home)
    found: dict[str, Counter[str]] = {"source": Counter()}
    for name in [only] if only else configured():
        counted = index.facets(name, query)
        found["source"][name] = counted.pop("total")[""]
        for facet, values in counted.items():
            found.setdefault(facet, Counter()).update(values)
    return {facet: {v: n for v, n in counted.most_common() if n} for facet, counted in found.items()}


def remember_pip(where: Source) -> None:
    """Write what this environment's packages carry into the index, where the sidebar finds it."""
    everything = where.search(Query(limit=10_000))
    Store().index.put_models("pip", everything, env=environment(), replace=True)


def environment() -> str:
    """A short name of this Python environment."""
    return sha256(sys.prefix.encode()).hexdigest()[:12]
