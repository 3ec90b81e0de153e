"""The lock of a study's journal: held for moments, and never waited for without an end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from optuna.storages.journal import JournalFileOpenLock

from modelnook.domain.errors import ConflictError, StoreError

__all__ = ["Lock", "said"]

ABANDONED = 5.0
"""Seconds after which a lock that nobody has renewed is what a killed process left: a line takes milliseconds."""

WAIT = 20.0
"""Seconds after which a lock that others take again and again is given up."""


class Lock(JournalFileOpenLock):
    """Optuna's lock, so that its other programs keep to it; Optuna itself would wait for a living one forever."""

    def acquire(self) -> bool:
        """Take the lock.

        Raises:
            TimeoutError: others hold it.
        """
        began = since = time.monotonic()
        seen: int | None = None
        while True:
            with suppress(FileExistsError):
                os.close(os.open(self._lock_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                return True
            now, stamp = time.monotonic(), self._stamp()
            if stamp != seen:
                seen, since = stamp, now
            elif stamp is not None and now - since > ABANDONED:
                with suppress(RuntimeError):
                    self.release()
            if now - began > WAIT:
                raise TimeoutError(self._lock_file)
            time.sleep(0.005)

    def _stamp(self) -> int | None:
        try:
            return os.stat(self._lock_file).st_mtime_ns
        except OSError:
            return None


@contextmanager
def said(file: Path) -> Iterator[None]:
    """What goes wrong with a journal as our errors.

    Raises:
        ConflictError: other processes hold it.
        StoreError: it can't be written.
    """
    try:
        yield
    except TimeoutError as error:
        raise ConflictError("tune.locked", path=file) from error
    except OSError as error:
        raise StoreError("tune.not_written", path=file, error=error.strerror or error) from error
