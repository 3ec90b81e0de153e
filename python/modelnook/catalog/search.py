"""One list over all sources, and one way to find what a reference means."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from hashlib import sha256
from pathlib import Path

from modelnook.catalog import SOURCES
from modelnook.catalog.base import Query, Source
from modelnook.domain.errors import ModelnookError, NotFoundError, UsageError, near
from modelnook.domain.event import Emit
from modelnook.domain.model import ModelInfo, ModelRef, SearchResult
from modelnook.messages import t
from modelnook.settings import current
from modelnook.store import Store

__all__ = ["Found", "configured", "fetch", "info", "params_range", "resolve", "search", "source"]

SORTS = ("relevance", "downloads", "likes", "updated", "size")
_DEADLINE = 3.5
_HOME = ("local", "pip")


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
        MissingPackage: its client library isn't installed.
    """
    kinds = configured()
    if name not in kinds and name != "path":
        from modelnook.domain.errors import unknown

        raise unknown("source", name, kinds)
    return SOURCES.load(kinds.get(name, name))(name)


def resolve(text: str | ModelRef) -> Found:
    """Find what a reference means. The hub is asked only for ``hub:…`` or ``owner/name``.

    Raises:
        UsageError: not a reference.
        NotFoundError: nobody has it; a near miss is suggested.
    """
    ref = ModelRef.parse(text) if isinstance(text, str) else text
    if ref.source:
        return _pinned(source(ref.source), ref)
    if ref.id == "last":
        return _pinned(source("local"), _newest(ref))
    homes = [name for name in configured() if name != "hub"]
    holders = [name for name in homes if _has(name, ref)]
    if holders:
        note = ""
        if len(holders) > 1:
            note = t("catalog.second_match", source=holders[0], other=holders[1])
        found = _pinned(source(holders[0]), ModelRef(holders[0], ref.id, ref.revision))
        return Found(found.ref, found.source, note)
    if "/" in ref.id:
        return _pinned(source("hub"), ModelRef("hub", ref.id, ref.revision))
    raise _missing(ref, homes)


def _pinned(where: Source, ref: ModelRef) -> Found:
    """With the revision that this reference means now, and a path from the root: a job's record must stay true."""
    if where.name == "path":
        return Found(ModelRef("path", str(where.fetch(ref, lambda event: None))), where)
    if ref.revision and where.networked:
        return Found(ref, where)
    return Found(ref.at(where.info(ref).revision), where)


def _has(name: str, ref: ModelRef) -> bool:
    try:
        return ref.id in source(name).names()
    except ModelnookError:
        return False


def _newest(ref: ModelRef) -> ModelRef:
    for record in Store().index.runs(limit=200):
        if record.model:
            return ModelRef.parse(record.model)
    raise NotFoundError("catalog.no_model", ref=ref, sources="local", words="")


def _missing(ref: ModelRef, homes: Iterable[str]) -> NotFoundError:
    homes = list(homes)
    known: list[str] = []
    for name in homes:
        try:
            known += source(name).names()
        except ModelnookError:
            continue
    close = near(ref.id, known)
    values = {"ref": str(ref), "sources": ", ".join(homes), "words": ref.id, "near": close}
    return NotFoundError("catalog.no_model_near" if close else "catalog.no_model", **values)


def info(text: str | ModelRef) -> tuple[ModelInfo, str]:
    """``(everything known of a model, note)``; no weights are downloaded."""
    found = resolve(text)
    return found.source.info(found.ref), found.note


def fetch(ref: ModelRef, emit: Emit, *, stop: Callable[[], bool] = lambda: False) -> Path:
    """The local folder of a resolved reference, downloaded first where it isn't here."""
    return source(ref.source or "local").fetch(ref, emit, stop=stop)


def search(query: Query, only: str | None = None, *, live: Iterable[str] | None = None) -> SearchResult:
    """Ask every source, side by side; those that fail or are off are named in the notes.

    Args:
        only: one source's name.
        live: the sources to ask themselves; the others answer from the index (the server asks none itself).
    """
    if query.sort not in SORTS:
        raise UsageError("catalog.bad_sort", sort=query.sort, known=", ".join(SORTS))
    names = [only] if only else list(configured())
    asked = set(names if live is None else live)
    notes: list[str] = []
    pool = ThreadPoolExecutor(len(names), thread_name_prefix="modelnook-search")
    jobs = {pool.submit(_ask if n in asked else _remembered, n, query): n for n in names}
    done, late = wait(jobs, _DEADLINE)
    pool.shutdown(wait=False, cancel_futures=True)
    found: list[ModelInfo] = []
    for job in sorted(done, key=lambda j: names.index(jobs[j])):
        try:
            items, note = job.result()
            found += items
            notes += [note] if note else []
        except ModelnookError as error:
            notes.append(t("catalog.source_failed", source=jobs[job], error=error.message))
    notes += [t("catalog.source_failed", source=jobs[j], error="timeout") for j in late]
    kept = _sorted([i for i in found if query.matches(i)], query)
    return SearchResult(tuple(kept[: query.limit]), query.text, tuple(notes), len(kept))


def _ask(name: str, query: Query) -> tuple[list[ModelInfo], str]:
    if configured().get(name) == "hub" and current().hub_offline:
        return Store().index.models(source=name, text=query.text), t("catalog.offline", source=name)
    where = source(name)
    items = where.search(query)
    if name == "pip":
        remember_pip(where)
    elif where.networked:
        Store().index.put_models(name, items)
    return items, ""


def _remembered(name: str, query: Query) -> tuple[list[ModelInfo], str]:
    if name == "local":
        return source("local").search(query), ""
    return Store().index.models(source=name, text=query.text), ""


def remember_pip(where: Source) -> None:
    """Write what this environment's packages carry into the index, where the sidebar finds it."""
    everything = where.search(Query(limit=10_000))
    Store().index.put_models("pip", everything, env=environment(), replace=True)


def environment() -> str:
    """A short name of this Python environment."""
    return sha256(sys.prefix.encode()).hexdigest()[:12]


def _sorted(found: list[ModelInfo], query: Query) -> list[ModelInfo]:
    home = {name: at for at, name in enumerate(configured())}
    words = query.text.lower()

    def relevance(info: ModelInfo) -> tuple[object, ...]:
        exact = words and words in (info.id.lower(), info.name.lower())
        return (not exact, home.get(info.source, 99), -(info.downloads or 0), info.ref)

    if query.sort == "size":
        return sorted(found, key=lambda i: (i.parameters is None, i.parameters or 0))
    if query.sort in ("downloads", "likes"):
        return sorted(found, key=lambda i: -(getattr(i, query.sort) or 0))
    if query.sort == "updated":
        return sorted(found, key=lambda i: i.updated or "", reverse=True)
    return sorted(found, key=relevance)


def params_range(text: str | None) -> tuple[float, float] | None:
    """Read ``10M-500M``, ``<1B`` or ``>100M`` as (low, high).

    >>> params_range("10M-0.5B"), params_range("<100k")
    ((10000000.0, 500000000.0), (0.0, 100000.0))
    """
    if not text:
        return None
    number = r"(\d+(?:\.\d+)?)([kKmMbB]?)"
    match = re.fullmatch(rf"\s*(?:{number}\s*-\s*{number}|([<>])\s*{number})\s*", text)
    if not match:
        raise UsageError("catalog.bad_params", params=text)
    low, low_unit, high, high_unit, sign, one, one_unit = match.groups()
    scale = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}
    if sign:
        value = float(one) * scale[one_unit.lower()]
        return (value, float("inf")) if sign == ">" else (0.0, value)
    return float(low) * scale[low_unit.lower()], float(high) * scale[high_unit.lower()]
