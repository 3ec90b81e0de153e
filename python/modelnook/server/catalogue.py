"""Searching from the server: the index answers here, what needs a network or an environment's packages in a child."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from modelnook.api import finding
from modelnook.catalog.index import CatalogIndex
from modelnook.catalog.licences import terms
from modelnook.catalog.search import configured, source
from modelnook.domain.errors import ModelnookError, OfflineError
from modelnook.domain.model import ModelRef
from modelnook.server.arguments import checked
from modelnook.server.ask import SEARCH_LIVE, call
from modelnook.server.opened import OpenedStore
from modelnook.settings import current

__all__ = ["Catalogue"]

_HERE = ("local", "path")
# Packages are looked through anew after this time, so that a `pip install` shows.
_PACKAGES_EVERY = 300.0
# A source that didn't answer isn't asked again at once: every search would wait for it.
_QUIET = 60.0

Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]
Here = Callable[[Callable[[dict[str, Any]], Any], dict[str, Any]], Awaitable[Any]]


class Catalogue:
    """``search``, ``info`` and ``compare``.

    Args:
        here: carries a function out on a thread of this process.
        ask: answers a method in a child.
    """

    def __init__(self, opened: OpenedStore, here: Here, ask: Ask) -> None:
        self._opened, self._here, self._ask = opened, here, ask
        self._packages = float("-inf")
        # Source -> until when it isn't asked, and why.
        self._quiet: dict[str, tuple[float, str]] = {}

    async def search(self, params: dict[str, Any]) -> Any:
        """The index's page where that is full, else everything that matches from every source that can be asked."""
        notes: list[str] = []
        known = await self._here(_page_of_index, params)
        if known is not None:
            return known
        if await self._here(_asks_network, params):
            names = [params["source"]] if params.get("source") else list(configured())
            now = time.monotonic()
            quiet = {name: note for name, (until, note) in self._quiet.items() if name in names and now < until}
            notes = list(dict.fromkeys(quiet.values()))
            live = [name for name in names if name not in quiet]
            if any(name in _networked() for name in live):
                return await self._asked(params, live, notes)
        await self._look_through_packages()
        found = await self._here(_remembered, params)
        return {**found, "notes": [*found["notes"], *notes]}

    async def _asked(self, params: dict[str, Any], live: list[str], notes: list[str]) -> Any:
        """What the sources ``live`` say; ``notes`` are on the others, which were silent a moment ago."""
        try:
            if notes:
                found = await self._ask(SEARCH_LIVE, {"live": live, "params": params})
            else:
                found = await self._ask("search", params)
        except OfflineError as error:
            self._be_quiet(dict.fromkeys(_networked(), error.message))
            return await self.search(params)
        self._packages = time.monotonic()
        self._be_quiet(found["silent"])
        return {**found, "notes": [*found["notes"], *notes]}

    async def _look_through_packages(self) -> None:
        if time.monotonic() - self._packages > _PACKAGES_EVERY:
            self._packages = time.monotonic()
            try:
                await self._ask("search", {"source": "pip", "limit": 1})
            except ModelnookError:
                # What was found before is still in the index.
                return

    def _be_quiet(self, silent: dict[str, str]) -> None:
        """Leave sources in peace for a while; source -> what is said of it meanwhile."""
        until = time.monotonic() + _QUIET
        self._quiet.update({name: (until, note) for name, note in silent.items()})

    async def info(self, params: dict[str, Any]) -> Any:
        """Everything known of one model."""
        if await self._here(_all_here, params):
            return await self._here(lambda given: call("info", given), params)
        try:
            return await self._ask("info", params)
        except ModelnookError as error:
            # Of a package of another environment, or of a hub that can't be reached now.
            known = await self._here(self._known, params) if error.status in (404, 503) else None
            if known is None:
                raise
            return known

    async def compare(self, params: dict[str, Any]) -> Any:
        """Models side by side; in a child as soon as one of them has to be looked up elsewhere."""
        if await self._here(_all_here, params):
            return await self._here(lambda given: call("compare", given), params)
        return await self._ask("compare", params)

    def _known(self, params: dict[str, Any]) -> Any:
        ref = ModelRef.parse(params["ref"])
        found = self._opened().index.models(text=ref.id)
        info = next((i for i in found if i.ref == str(ref)), None)
        info = info or CatalogIndex(current().home).get(ref.source or "hub", ref.id)
        return replace(finding.with_memory(info), terms=terms(info.license)).to_dict() if info else None


def _page_of_index(params: dict[str, Any]) -> Any:
    """A full page of what ``sources refresh`` has read; None where there is less, or nothing was typed."""
    if not CatalogIndex(current().home).sources() or not str(params.get("query") or "").strip():
        return None
    found = finding.found(**checked(finding.search, params), live=())
    return found.to_dict() if len(found) >= (params.get("limit") or 20) else None


def _remembered(params: dict[str, Any]) -> Any:
    """A search that asks no source: local models, and what the index holds of the others."""
    return finding.found(**checked(finding.search, params), live=()).to_dict()


def _all_here(params: dict[str, Any]) -> bool:
    """Whether the models asked for are folders of this machine; what can't be read is for the method to refuse."""
    words = params.get("refs", [params.get("ref")])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return True
    refs = [ModelRef.parse(word) for word in words]
    named = set(source("local").names()) if any(ref.source is None for ref in refs) else set()
    return all(ref.source in _HERE or (ref.source is None and (ref.id == "last" or ref.id in named)) for ref in refs)


def _networked() -> list[str]:
    return [name for name, kind in configured().items() if kind not in (*_HERE, "pip")]


def _asks_network(params: dict[str, Any]) -> bool:
    """Whether somebody typed something that is for a source elsewhere: opening a list asks nobody."""
    if current().hub_offline:
        return False
    only = params.get("source")
    return only in _networked() if only else bool(str(params.get("query") or "").strip())
