"""Verbs over what surrounds the models: settings, sources, the names for completion."""

from __future__ import annotations

import re
from typing import Any

from modelnook.domain.errors import ConflictError, UnsupportedError, UsageError, unknown
from modelnook.domain.table import Table
from modelnook.settings import current
from modelnook.store import Store

__all__ = ["add_source", "complete", "offline", "remove_source", "settings", "sources"]


def offline(switch: str | None = None) -> bool:
    """Turn the network off (``on``) or back on (``off``); gives whether modelnook is offline.

    Args:
        switch: ``on`` or ``off``; without it nothing is changed.

    Raises:
        UsageError: neither of them.

    >>> mn.offline("on"), mn.offline(), mn.offline("off")
    (True, True, False)
    """
    if switch is not None:
        settings(offline=switch)
    return current().offline


def settings(**values: str) -> dict[str, Any]:
    """Show the settings, or keep some.

    Args:
        values: ``language`` (``auto``, ``en``, ``zh``), ``offline`` (``on``, ``off``), ``wandb`` (``offline``,
            ``online``, ``none``), ``wandb_project``.

    Returns:
        All of them as they are now, with ``home`` (the folder of everything) and ``threads``.

    Raises:
        UsageError: no such setting, or a value that it doesn't take.
        StoreError: the disk refuses.

    >>> mn.settings(wandb_project="mails")["wandb_project"]
    'mails'
    """
    from modelnook.settings import SAVED, save

    now = save(**values) if values else current()
    shown: dict[str, Any] = {name: now.get(name) for name in SAVED}
    return {**shown, "offline": now.offline, "wandb": now.wandb_mode, "home": str(now.home), "threads": now.threads}


def sources() -> Table:
    """The configured sources, in the order in which a bare name is looked up.

    Returns:
        A :class:`~modelnook.domain.table.Table`: ``name, kind, url, state`` (whether they can be asked), ``models``
        (how many entries are known here), ``refreshed`` (when; ISO 8601, UTC).

    Raises:
        StoreError: the store is of a newer modelnook.

    >>> mn.sources().to_frame()["name"].tolist()
    ['local', 'pip', 'team', 'hub']
    """
    from modelnook.api.upkeep import refreshed
    from modelnook.catalog import NETWORKED, SOURCES
    from modelnook.catalog.index import CatalogIndex
    from modelnook.catalog.search import configured, fell_silent

    addresses = {s["name"]: s.get("url", "") for s in current().sources}
    known, fresh = Store().index.counts(), refreshed()
    # An index holds all that was seen in passing as well, or nearly all.
    known = {**known, **{name: max(n, known.get(name, 0)) for name, n in CatalogIndex(current().home).counts().items()}}
    rows = []
    for name, kind in configured().items():
        missing = SOURCES[kind].missing
        there = kind in ("local", "pip", "folder") or known.get(name) or fresh.get(name)
        state = "unreachable" if fell_silent(name) else "ready" if there else "not_asked"
        far = "://" in addresses.get(name, "") if kind == "folder" else kind in NETWORKED
        if current().hub_offline if kind == "hub" else far and current().offline:
            state = "offline"
        if missing:
            state = f"needs {missing[0]}"
        rows.append((name, kind, addresses.get(name, ""), state, known.get(name, 0), fresh.get(name)))
    return Table(("name", "kind", "url", "state", "models", "refreshed"), tuple(rows))


def kinds() -> list[str]:
    """The kinds of sources that can be added."""
    from modelnook.catalog import SOURCES

    return [kind for kind in SOURCES if kind not in ("local", "pip", "path")]


def add_source(name: str, url: str, *, kind: str = "hub", token_env: str | None = None) -> Table:
    """Add a catalogue source under a name; its token stays in the environment variable ``token_env``.

    Args:
        name: 2 to 64 characters of ``[a-z0-9-]``.
        url: where it is; of a ``folder`` also a path or a bucket.
        kind: ``hub``, ``folder``, ``git``, ``kaggle`` or ``modelscope``.
        token_env: the variable's name.

    Returns:
        The sources, as :func:`sources` gives them.

    Raises:
        UsageError: no name for a source, no such kind, or an address that can't be one.
        ConflictError: another source has the name.
        UnsupportedError: a bucket that ignores conditional writes; two people could overwrite each other there.
        MissingPackage: what reads such a source isn't installed.

    >>> from modelnook.api import add_source
    >>> add_source("mirror", "https://hub.example.org", token_env="MIRROR_TOKEN").to_frame()["name"].tolist()
    ['local', 'pip', 'team', 'mirror', 'hub']
    """
    from modelnook.catalog import SOURCES
    from modelnook.catalog.search import configured
    from modelnook.settings import save

    if not re.fullmatch(r"[a-z0-9-]{2,64}", name):
        raise UsageError("api.source_name", name=name)
    if name in configured():
        raise ConflictError("api.source_taken", name=name)
    if kind not in kinds():
        raise unknown("source_kind", kind, kinds())
    url = SOURCES.load(kind).admit(name, url)
    save(sources=[*current().sources, {"name": name, "url": url, "kind": kind, "token_env": token_env}])
    return sources()


def remove_source(name: str) -> Table:
    """Forget a source that was added.

    Args:
        name: its name.

    Returns:
        The sources that are left, as :func:`sources` gives them.

    Raises:
        UnsupportedError: one that modelnook comes with.
        UsageError: no such source.

    >>> from modelnook.api import remove_source
    >>> remove_source("team").to_frame()["name"].tolist()
    ['local', 'pip', 'hub']
    """
    from modelnook.catalog.search import note_silence
    from modelnook.settings import save

    held = current().sources
    if name in ("local", "pip", "hub"):
        raise UnsupportedError("api.source_built_in", name=name)
    if name not in {s["name"] for s in held}:
        raise unknown("source", name, [s["name"] for s in held])
    save(sources=[s for s in held if s["name"] != name] or None)
    note_silence(name, silent=False)
    return sources()


def complete(kind: str, prefix: str = "") -> list[str]:
    """Names for tab completion, known without a network.

    Args:
        kind: ``ref``, ``run`` or ``source``.
        prefix: what was typed so far.

    >>> from modelnook.api import complete
    >>> complete("ref", "sp"), complete("source", "t")
    (['spam'], ['team'])
    """
    from modelnook.catalog.search import configured, source

    store = Store()
    if kind == "run":
        names = [n for pair in store.index.names(50) for n in pair] + ["last"]
    elif kind == "source":
        names = list(configured())
    else:
        names = store.models.names() + [f"pip:{n}" for n in source("pip").names()] + ["last"]
        names += _indexed(prefix)
    return sorted({n for n in names if n and n.startswith(prefix)})


def _indexed(prefix: str) -> list[str]:
    """References into a source that has an index, the most used first where there are many."""
    from modelnook.catalog.base import Query
    from modelnook.catalog.index import CatalogIndex

    name, colon, begun = prefix.partition(":")
    index = CatalogIndex(current().home)
    if not colon or not begun or name not in index.sources():
        return []
    return [f"{name}:{hit.info.id}" for hit in index.search(name, Query(begun, limit=50)).hits]
