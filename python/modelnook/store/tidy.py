"""What a killed process has left in a person's folder, and what nothing uses any more: found and removed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from modelnook.store import Store
from modelnook.store.files import folder_bytes
from modelnook.store.runs import folders

__all__ = ["AGE", "Found", "leftovers", "remove_all", "snapshots"]

AGE = 3600.0
"""Seconds after which something unfinished counts as left behind: whoever makes it may still be at work."""

WORK = ("ranks", "rounds", "steps", "trials")
"""Folders of a run that only its work needs: it goes on from them, or removes them as it ends."""

Found = tuple[str, Path]
"""What it is (``snapshot part probe``), and where."""


def snapshots(store: Store, *, age: float = AGE) -> Iterator[Found]:
    """Rows that no run reads; those of a run that is just being made are young."""
    used = store.snapshot_users()
    for path in _entries(store.data):
        if path.name not in used and not path.name.startswith(".") and _old(path, age):
            yield "snapshot", path


def leftovers(store: Store, *, age: float = AGE) -> Iterator[Found]:
    """Temporary folders and files, parts of downloads, what runs that are over kept for their work."""
    home = store.home
    for place in (home, home / "data", home / "runs", home / "models", *_entries(home / "models")):
        yield from (("part", p) for p in _entries(place) if _temporary(p) and _old(p, age))
    yield from (("part", p) for p in (home / "cache").rglob("*.incomplete") if _old(p, age))
    for run in folders(home / "runs"):
        if not run.lease.live():
            yield from (("probe", p) for p in run.path.glob("probe*") if p.is_dir() and _old(p, age))
            yield from (("part", p) for p in _entries(run.path) if _temporary(p) and _old(p, age))
            record = run.seen()
            if record is not None and not record.live and not record.resumable:
                yield from (("part", p) for name in WORK if (p := run.path / name).is_dir() and _old(p, age))


def remove_all(found: Iterable[Found]) -> dict[str, tuple[int, int]]:
    """Remove; gives what it is -> (how many, bytes)."""
    freed: dict[str, tuple[int, int]] = {}
    for what, path in list(found):
        size = folder_bytes(path) if path.is_dir() else path.stat().st_size
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        count, total = freed.get(what, (0, 0))
        freed[what] = (count + 1, total + size)
    return freed


def _entries(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else []


def _temporary(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(".tmp")


def _old(path: Path, age: float) -> bool:
    try:
        return time.time() - path.stat().st_mtime >= age
    except FileNotFoundError:
        return False
