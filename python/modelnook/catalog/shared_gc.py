"""Removing from a shared place what no version refers to: the contents that killed publications left."""

from __future__ import annotations

import re

from modelnook.catalog.shared_layout import blob, files_of, version_of
from modelnook.catalog.shared_place import Place
from modelnook.domain.errors import ModelnookError, RefusedError

__all__ = ["GRACE", "collect"]

GRACE = 24 * 3600.0
"""Seconds that a content stays without a version: whoever sent it may still be at work. By the place's own clock."""

_VERSION = re.compile(r"models/([^/]+)/([^/]+)/v/(\d{6})\.json")


def collect(place: Place, source: str) -> tuple[int, int]:
    """Remove contents that no version needs and that are older than :data:`GRACE`; ``(how many, bytes)``.

    Raises:
        RefusedError: a version can't be read, so nobody knows what it needs; nothing is removed.
        StoreError: the place can't be written.
    """
    clock = place.now()
    # First what there is, then what is needed: a version that appears meanwhile has young contents.
    blobs = place.walk("blobs/sha256")
    needed = _needed(place, source)
    count, freed = 0, 0
    for path, size in blobs.items():
        if path not in needed and _old(place, path, clock):
            place.remove(path)
            count, freed = count + 1, freed + size
    for path, modified in place.leavings().items():
        if clock - modified > GRACE:
            size = place.size(path) or 0
            place.remove(path)
            count, freed = count + 1, freed + size
    return count, freed


def _needed(place: Place, source: str) -> set[str]:
    needed: set[str] = set()
    for path in place.names("models"):
        match = _VERSION.fullmatch(path)
        if not match:
            continue
        id = match[2] if match[1] == "_" else f"{match[1]}/{match[2]}"
        shown = f"{source}:{id}@{int(match[3])}"
        try:
            version = version_of(place.read(path), id, int(match[3]), shown)
            manifest = place.read(blob(version.manifest))
            files, config = files_of(manifest or b"", shown)
        except ModelnookError as error:
            if error.status >= 503:
                raise
            raise RefusedError("shared.gc_unsure", ref=shown) from error
        needed |= {blob(version.manifest), blob(config), *(blob(f.sha256) for f in files)}
    return needed


def _old(place: Place, path: str, clock: float) -> bool:
    """Asked again just before it is removed: a publication that needs it has made it young."""
    modified = place.modified(path)
    return modified is not None and clock - modified > GRACE
