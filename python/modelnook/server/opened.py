"""The server's one Store, opened anew when its index file was removed or replaced behind its back."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

from modelnook.settings import home
from modelnook.store import Store
from modelnook.store.runs import folders

__all__ = ["OpenedStore"]


class OpenedStore:
    """Opened at the first call, so that a home that can't be used is an answer and not the end of the extension.

    ``generation`` changes with every index that is opened: numbers of one index mean nothing in another.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._store: Store | None = None
        self._mark: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Store:
        """The store as it is now.

        Raises:
            StoreError: it can't be written to, or a newer version made it.
        """
        with self._lock:
            if self._store is None or self._store.home != home() or self._mark != _mark(self._store):
                self._store = None
                self._store, self.generation = _open(), random.randrange(1, 1 << 20)
                self._mark = _mark(self._store)
            return self._store


def _open() -> Store:
    store = Store(home())
    listed = {id for id, _ in store.index.names(limit=-1)}
    # A worker that found no index has made one with its own run alone.
    if any(run.id not in listed for run in folders(store.home / "runs")):
        store.reindex()
    return store


def _mark(store: Store) -> tuple[int, int] | None:
    """Which file the index is. An open connection keeps its number from being given to another file."""
    try:
        status = os.stat(Path(store.index.path))
    except OSError:
        return None
    return status.st_dev, status.st_ino
