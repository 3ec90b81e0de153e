"""Bytes on their way: how many have come or gone, whether to go on, parts that a later call continues."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from modelnook.domain.errors import ConflictError, StoreError
from modelnook.domain.event import Emit, Progress

__all__ = ["Tally", "alone", "need_room", "part_into_place", "silent_bar", "stream"]

T = TypeVar("T")

_TELL_EVERY = 0.2
_ASK_EVERY = 0.5


@contextmanager
def alone(lock: Path, check: Callable[[], None]) -> Iterator[None]:
    """Hold a lock's file; another who holds it is waited for.

    Args:
        check: asked meanwhile, raises where the wait is to end.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock)
    while not held.is_locked:
        check()
        try:
            held.acquire(timeout=_ASK_EVERY)
        except Timeout:
            continue
    try:
        yield
    finally:
        held.release()


class Tally:
    """One progress for all the files of a model, from any thread; asks at every step whether to end.

    Args:
        total: the bytes to come; None where that isn't known.
        sending: whether they go, and don't come.
    """

    def __init__(
        self, ref: str, total: int | None, emit: Emit, stop: Callable[[], bool], *, sending: bool = False
    ) -> None:
        self.ref, self.total, self.emit, self.stop = ref, total, emit, stop
        self._phase, self._code = ("uploading", "publish.stopped") if sending else ("downloading", "hub.stopped")
        self._done = 0
        self._told = 0.0
        self._lock = threading.Lock()

    def count(self, size: int) -> None:
        """So many bytes more.

        Raises:
            ConflictError: it is to stop.
        """
        with self._lock:
            self._done += size
        self._tell()

    def finish(self) -> None:
        """All of it is here."""
        self._told = 0.0
        self._done = self._done if self.total is None else self.total
        self._tell()

    def check(self) -> None:
        """Raise ConflictError where it is to stop."""
        if self.stop():
            raise ConflictError(self._code, ref=self.ref)

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL_EVERY:
            self._told = now
            step = self._done if self.total is None else min(self._done, self.total)
            self.emit(Progress(self._phase, step=step, total=self.total))
        self.check()

    def alongside(self, done: Callable[[], int], work: Callable[[], T]) -> T:
        """Do what tells of no progress: ``done`` says how many bytes there are while it goes on.

        Asked to stop it comes back at once, and the work goes on until the process ends, which it is then about to.
        """
        box: list[Any] = []

        def run() -> None:
            try:
                box.extend((work(), None))
            except BaseException as error:
                box.extend((None, error))

        thread = threading.Thread(target=run, name="modelnook-transfer", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(_TELL_EVERY)
            self._done = done()
            self._tell()
        result, error = box
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def bar(self) -> type[Any]:
        """A :func:`silent_bar` that counts the bytes of one kind of bar."""
        tally = self

        class Bar(silent_bar()):  # type: ignore[misc]
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                # The client shows received and written bytes; counting both would count each byte twice.
                self._bytes = kwargs.get("unit") == "B" and kwargs.get("desc") != "Downloading bytes"
                super().__init__(*args, **kwargs)

            def update(self, n: float | None = 1) -> bool | None:
                if self._bytes and n:
                    tally.count(int(n))
                tally.check()
                return None

        return Bar


def silent_bar() -> type[Any]:
    """A progress bar for the hub's client that draws nothing."""
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "disable": True})

    return Bar


def need_room(path: Path, size: int) -> None:
    """Refuse to begin what the disk has no room for.

    Raises:
        StoreError: fewer than ``size`` bytes are free at ``path``.
    """
    if size > shutil.disk_usage(path).free:
        raise StoreError("store.disk_full", path=path)


def stream(url: str, part: Path, size: int, name: str, tally: Tally, headers: Mapping[str, str]) -> None:
    """Bring a file of ``size`` bytes into ``part``, going on where an earlier call was cut.

    Raises what the hub's client raises; it tries a cut connection again by itself.
    """
    from huggingface_hub.file_download import http_get

    have = part.stat().st_size if part.exists() else 0
    if have > size:
        part.unlink()
        have = 0
    tally.count(have)
    with part.open("ab") as out:
        http_get(
            url,
            out,
            resume_size=have,
            headers=dict(headers),
            expected_size=size,
            displayed_filename=name,
            tqdm_class=tally.bar(),
        )


def part_into_place(part: Path, target: Path, sha256: str, ref: str, name: str) -> None:
    """Give a part its name if it is what its checksum says; else it is removed.

    Raises:
        StoreError: it isn't.
    """
    with part.open("rb") as read:
        found = hashlib.file_digest(read, "sha256").hexdigest()
    if found != sha256:
        part.unlink()
        raise StoreError("hub.damaged", ref=ref, file=name)
    os.replace(part, target)
