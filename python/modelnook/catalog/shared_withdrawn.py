"""Versions that were taken back: a file beside the version says who did, when and why; numbers are never used again.

A withdrawn version can't be found any more. Its contents stay for a day, for whoever is just reading them and for a
withdrawal that is undone; ``sources gc`` removes them afterwards. What was brought to a machine before stays there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from modelnook.catalog.shared_layout import (
    Version,
    needed_by,
    printable,
    withdrawn_folder,
)
from modelnook.catalog.shared_place import GRACE, Place
from modelnook.domain.errors import ConflictError, ModelnookError, NotFoundError
from modelnook.messages import t
from modelnook.settings import user
from modelnook.store.runs import now

__all__ = ["Withdrawals", "Withdrawn"]

_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Who took a version back, when and why; empty where that can't be read."""

    author: str = ""
    time: str = ""
    why: str = ""


class Withdrawals:
    """The withdrawn versions of one model."""

    def __init__(self, place: Place, id: str) -> None:
        self.place, self.id = place, id
        self.folder = withdrawn_folder(id)

    def said(self, number: int) -> Withdrawn:
        """What was said of a withdrawn version, read as something that anybody may have written."""
        try:
            said = json.loads(self.place.read(self._path(number)) or b"")
            values = (printable(str(said.get(name) or ""))[:_LONGEST] for name in ("author", "time", "why"))
            return Withdrawn(*values)
        except (ValueError, AttributeError):
            return Withdrawn()

    def add(self, number: int, why: str = "") -> None:
        """Take a version back; one that was stays as it was said first.

        Raises:
            ConflictError: somebody else is at it, or was killed over it.
        """
        said = {"version": number, "author": user(), "time": now(), "why": printable(why)[:_LONGEST]}
        path = self._path(number)
        if not self.place.put_new(path, json.dumps(said, ensure_ascii=False).encode()) and not self.place.size(path):
            raise ConflictError("shared.claimed", ref=f"{self.place.source}:{self.id}@{number}")

    def undo(self, number: int, version: Version, shown: str) -> None:
        """Let a withdrawn version be found again.

        Raises:
            ConflictError: so long ago that its contents are gone, or may go any moment.
        """
        when = self.place.modified(self._path(number))
        if when is None:
            return
        if self.place.now() - when > GRACE / 2 or not self._whole(version, shown):
            raise ConflictError("shared.withdrawn_for_good", ref=shown)
        self.place.remove(self._path(number))

    def _whole(self, version: Version, shown: str) -> bool:
        try:
            needed = needed_by(version, self.place.read, shown)
        except ModelnookError:
            return False
        return all(self.place.size(path) is not None for path in needed)

    def _path(self, number: int) -> str:
        return f"{self.folder}/{number:06}.json"

    def error(self, ref: str, number: int, known: str) -> NotFoundError:
        """Why a version can't be had, and which can."""
        said = self.said(number)
        values = {
            "ref": ref,
            "version": number,
            "author": said.author or "?",
            "day": said.time[:10] or "?",
            "why": said.why or t("shared.no_reason"),
        }
        if known:
            return NotFoundError("shared.withdrawn", known=known, **values)
        return NotFoundError("shared.all_withdrawn", **values)
