"""Child processes of the server: started with its interpreter, ended with it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from modelnook.jobs.process import end, environment
from modelnook.store import Store

__all__ = ["Children"]


class Children:
    """Every child that lives now. Their standard input is a pipe: it ends when this process does, however it ends."""

    def __init__(self) -> None:
        self._alive: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def start(self, store: Store, module: str, *, log: Path | None = None) -> subprocess.Popen[bytes]:
        """Start ``python -m MODULE``; its output can be read, or goes to ``log``.

        Raises:
            OSError: no process could be started.
        """
        with ExitStack() as stack, self._lock:
            if self._closed:
                raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
            out = stack.enter_context(log.open("wb")) if log else None
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=out or subprocess.PIPE,
                stderr=out or subprocess.DEVNULL,
                env=environment(store),
                cwd=store.home,
            )
            self._alive.add(child)
        return child

    def end(self, child: subprocess.Popen[bytes]) -> None:
        """End one child, politely for a few seconds; blocks."""
        if child.poll() is None:
            end(child)
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()
        self._alive.discard(child)

    def close(self) -> None:
        """End all of them and start no more; blocks."""
        with self._lock:
            self._closed = True
        for child in list(self._alive):
            child.terminate()
        for child in list(self._alive):
            self.end(child)
