"""What a model was made from, with each part's licence: looked up where it is, here or at its source.

A card is anybody's: what it says that a model comes from is looked up where its author could have meant it, and a path
or a local name in it means nothing here. What can't be looked up isn't compared, and that is said.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

from modelnook.catalog.adapter import adapter_in
from modelnook.catalog.folder import describe
from modelnook.catalog.hub import HubSource
from modelnook.catalog.index import CatalogIndex
from modelnook.catalog.search import configured, locate, source
from modelnook.data.hub import hub_name
from modelnook.domain.errors import ModelnookError, NotFoundError, OfflineError, UnsupportedError
from modelnook.domain.model import ModelInfo, ModelRef, is_path
from modelnook.messages import t
from modelnook.publish.licences import Part
from modelnook.publish.record import name_of
from modelnook.settings import current
from modelnook.store import Store

__all__ = ["lineage"]

# So many are looked up, and as many more are named as not looked up: a card may list thousands.
_MOST = 10
# Entries of this machine are written here, and so may name what is here.
_OURS = ("local", "path")
# Hubs whose cards name other models of the same hub.
_HUBS = ("hub", "modelscope")


def lineage(info: ModelInfo, folder: Path, data_license: str | None) -> tuple[list[Part], list[str]]:
    """``(what a model was made from, sentences on what couldn't be looked up)``; the data come last.

    What is said of the data by ``data_license`` counts; else a hub is asked for the licence of data that it has.
    """
    parts, notes, runs = _above(info, folder)
    adapter = (folder / "adapter_config.json").is_file()
    told = any(part.license == info.license for part in parts)
    # A model made here has its base's licence; for another its author has chosen one.
    if adapter or not parts or not _noted(info) or (info.license and not told):
        parts.insert(0, Part("adapter" if adapter else "model", name_of(info.ref) or info.id, info.license))
    rows, unseen = ([], []) if data_license else _rows(runs)
    if (info.run and not rows) or data_license:
        rows = [Part("data", t("publish.the_rows"), data_license)]
    return [*parts, *rows], [*notes, *unseen]


def _rows(runs: list[str]) -> tuple[list[Part], list[str]]:
    """The hub's data sets that runs of this machine trained on; of one that not all may see, its name stays here."""
    parts: list[Part] = []
    notes: list[str] = []
    records = (Store().run(id).record() for id in runs)
    names = (str((record.data or {}).get("name") or "") for record in records if record)
    for name in dict.fromkeys(names):
        found = hub_name(name)
        if found is None:
            continue
        try:
            licence, seen = HubSource().rows_licence(*found)
            parts.append(Part("data", f"hub:{found[0]}" if seen else t("publish.the_rows"), licence))
        except ModelnookError as error:
            parts.append(Part("data", t("publish.the_rows"), None, compared=False))
            why = NotFoundError("data.no_hub", name=name) if isinstance(error, NotFoundError) else error
            notes.append(t("publish.not_compared", name=name, why=why.message))
    return parts, notes


def _noted(info: ModelInfo) -> bool:
    """Whether an entry's licence is that of its base, noted by the run that made it here."""
    return info.source == "local" and bool(info.run)


def _above(info: ModelInfo, folder: Path) -> tuple[list[Part], list[str], list[str]]:
    """``(the models above, what couldn't be looked up, the runs of this machine on the way)``."""
    parts: list[Part] = []
    notes: list[str] = []
    runs = [info.run] if _noted(info) and info.run else []
    seen: set[tuple[str | None, str]] = {(info.source, info.id)}
    queue = deque((info, name) for name in _bases(info, folder))
    while queue and len(parts) < 2 * _MOST:
        child, name = queue.popleft()
        shown = Path(name).name if is_path(name) else name
        try:
            ref = _meant(name, child)
            if (ref.source, ref.id) in seen:
                continue
            seen.add((ref.source, ref.id))
            shown = name_of(str(ref)) or shown
            if len(parts) >= _MOST:
                raise UnsupportedError("publish.too_many", n=_MOST)
            entry = _entry(ref)
        except ModelnookError as error:
            noted = _noted(child)
            parts.append(Part("base", shown, child.license if noted else None, compared=noted))
            notes.append(t("publish.as_noted" if noted else "publish.not_compared", name=shown, why=error.message))
            continue
        runs += [entry.run] if _noted(entry) and entry.run else []
        above = _bases(entry, Path(entry.path) if entry.path else None)
        parts.append(Part("model" if above else "base", shown, entry.license))
        queue.extend((entry, name) for name in above)
    return parts, notes, runs


def _bases(info: ModelInfo, folder: Path | None) -> list[str]:
    """Everything that a model is said to come from: a merge comes from several."""
    said: list[object] = [info.base_model, *info.bases]
    if folder and not _noted(info):
        said.append(adapter_in(folder).get("base_model_name_or_path"))
    return list(dict.fromkeys(name for name in said if name and isinstance(name, str)))


def _meant(name: str, child: ModelInfo) -> ModelRef:
    """The model that an entry names as its base.

    Raises:
        NotFoundError: nobody can tell which, or it lies on the machine of whoever wrote that.
        UsageError: not a reference.
    """
    ref = ModelRef.parse(name)
    if child.source in _OURS:
        return locate(ref).ref
    if ref.source in _OURS or (ref.source is None and "/" not in ref.id):
        raise NotFoundError("publish.base_elsewhere", name=Path(name).name)
    if ref.source:
        return ref
    own = configured().get(child.source) in _HUBS
    return ModelRef(child.source if own else "hub", ref.id, ref.revision)


def _entry(ref: ModelRef) -> ModelInfo:
    """A base's entry: of the very revision's own files where they are here, else its source's, else the index's.

    Raises:
        ModelnookError: nobody can tell now; says why.
    """
    where = source(ref.source or "local")
    folder = where.here(ref) if where.networked and ref.revision else None
    if folder is not None and (folder / "README.md").is_file():
        return describe(folder, ref=str(ref), id=ref.id, source=where.name)
    try:
        return where.info(ref)
    except OfflineError:
        known = CatalogIndex(current().home).get(where.name, ref.id)
        if known is None:
            raise
        return known
