"""Removing from a shared place what no version refers to: what killed publications left, and withdrawn versions."""

from __future__ import annotations

import re

from modelnook.catalog.shared_layout import needed_by, version_of
from modelnook.catalog.shared_place import GRACE, Place
from modelnook.domain.errors import ModelnookError, RefusedError

__all__ = ["collect"]

_VERSION = re.compile(r"models/([^/]+)/([^/]+)/(v|withdrawn)/(\d{6})\.json")


def collect(place: Place, source: str) -> tuple[int, int]:
    """Remove contents that no version needs and that are older than :data:`GRACE`; ``(how many, bytes)``.

    Raises:
        RefusedError: a version can't be read, so nobody knows what it needs; nothing is removed.
        StoreError: the place can't be written.
    """
    clock = place.now()
    # First what there is, then what is needed: a version that appears meanwhile has young contents.
    blobs = place.walk("blobs/sha256")
    needed = _needed(place, source, clock)
    count, freed = 0, 0
    for path, size in blobs.items():
        if path not in needed and _old(place, path, clock):
            place.remove(path)
            count, freed = count + 1, freed + size
    swept, left = place.sweep(clock - GRACE)
    return count + swept, freed + left


def _needed(place: Place, source: str, clock: float) -> set[str]:
    found = [match for path in place.names("models") if (match := _VERSION.fullmatch(path))]
    # A version that was withdrawn this minute may still be read by somebody.
    gone = {(m[1], m[2], m[4]) for m in found if m[3] == "withdrawn" and _old(place, m[0], clock)}
    needed: set[str] = set()
    for match in found:
        if match[3] != "v" or (match[1], match[2], match[4]) in gone:
            continue
        id = match[2] if match[1] == "_" else f"{match[1]}/{match[2]}"
        shown = f"{source}:{id}@{int(match[4])}"
        try:
            version = version_of(place.read(match[0]), id, int(match[4]), shown)
            needed |= needed_by(version, place.read, shown)
        except ModelnookError as error:
            if error.status >= 503:
                raise
            raise RefusedError("shared.gc_unsure", ref=shown) from error
    return needed


def _old(place: Place, path: str, clock: float) -> bool:
    """Whether a file is past its grace; of a content asked just before its removal: a publication makes it young."""
    modified = place.modified(path)
    return modified is not None and clock - modified > GRACE
