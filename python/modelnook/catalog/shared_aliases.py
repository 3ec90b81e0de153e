"""Aliases of a team's model: each change is a file of its own, so that what an alias meant before is never lost."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from modelnook.catalog.shared_layout import alias_folder, check_alias, is_alias, model_folder, numbered, printable
from modelnook.catalog.shared_place import Place
from modelnook.domain.errors import NotFoundError
from modelnook.domain.table import Table
from modelnook.settings import user
from modelnook.store.runs import now

__all__ = ["Aliases"]


class Aliases:
    """The aliases of one model."""

    def __init__(self, place: Place, id: str) -> None:
        self.place, self.id = place, id

    def names(self) -> list[str]:
        """Every alias that was ever set."""
        head = f"{model_folder(self.id)}/alias/"
        found = {path[len(head) :].partition("/")[0] for path in self.place.names(head.rstrip("/"))}
        return sorted(name for name in found if is_alias(name))

    def now(self, name: str) -> int | None:
        """The version that an alias means; None where there is no such alias."""
        return next((said["version"] for _, said in self._history(check_alias(name))), None)

    def set(self, name: str, version: int, of: int | None = None) -> None:
        """Let an alias mean a version, unless it does; of two who do so at once the later one counts."""
        if self.now(name) == version:
            return
        folder = alias_folder(self.id, check_alias(name))
        said = {"version": version, "time": now(), "author": user(), **({"of": of} if of else {})}
        number = max(numbered(self.place.names(folder), folder), default=0) + 1
        while not self.place.put_new(f"{folder}/{number:06}.json", json.dumps(said).encode()):
            number += 1

    def undo(self, name: str, gone: Collection[int] = ()) -> None:
        """Let an alias mean what it meant before; done again, what it meant before that. Never a version ``gone``.

        Raises:
            NotFoundError: it meant nothing before.
        """
        history = dict(self._history(check_alias(name)))
        newest = max(history, default=0)
        # An entry that was made by going back stands where the entry stood that it went back to.
        base = history[newest].get("of") or newest if history else 0
        meant = history[newest]["version"] if history else 0
        older = [
            n
            for n in sorted(history, reverse=True)
            if n < base and history[n]["version"] != meant and history[n]["version"] not in gone
        ]
        if not older:
            raise NotFoundError("shared.nothing_before", alias=name, ref=f"{self.place.source}:{self.id}")
        self.set(name, history[older[0]]["version"], of=history[older[0]].get("of") or older[0])

    def _history(self, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """``(number, entry)``, newest first; what isn't an entry is left out."""
        folder = alias_folder(self.id, name)
        for number in reversed(numbered(self.place.names(folder), folder)):
            try:
                said = json.loads(self.place.read(f"{folder}/{number:06}.json") or b"")
                yield number, {**said, "version": int(said["version"])}
            except (ValueError, TypeError, KeyError):
                continue

    def table(self, name: str | None) -> Table:
        """An alias's history, newest first; of all aliases, what they mean now."""
        rows = []
        for one in [check_alias(name)] if name else self.names():
            history = [said for _, said in self._history(one)]
            for said in history if name else history[:1]:
                author, time = (printable(str(said.get(key) or "")) for key in ("author", "time"))
                rows.append((one, said["version"], author, time))
        return Table(("alias", "version", "author", "updated"), tuple(rows))
