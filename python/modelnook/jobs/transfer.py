"""Files on their way to and from :class:`~modelnook.jobs.remote.Remote`, a part at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelnook.store.files import folder, place, staging

__all__ = ["Stopped", "Transfer"]

PART = 8 << 20
"""Bytes of a file that travel at once."""


class Stopped(Exception):
    """Somebody asked the run to end while its files went there."""


class Transfer:
    """Paths there are relative to the folder of the one that is called.

    Args:
        call: calls one of its methods by its name and gives the answer.
        stop: whether to end; asked before each part that goes there.
    """

    def __init__(self, call: Callable[..., Any], stop: Callable[[], bool]) -> None:
        self.call, self.stop = call, stop

    def put(self, source: Path, target: str) -> None:
        """Send a folder.

        Raises:
            Stopped: ``stop`` said so.
        """
        for file in sorted(f for f in source.rglob("*") if f.is_file()):
            name = f"{target}/{file.relative_to(source).as_posix()}"
            with file.open("rb") as content:
                self._write(name, 0, content.read(PART))
                while part := content.read(PART):
                    self._write(name, content.tell() - len(part), part)

    def _write(self, name: str, offset: int, part: bytes) -> None:
        if self.stop():
            raise Stopped
        self.call("write", name, offset, part)

    def get(self, source: str, target: Path, sure: Callable[[], bool] = lambda: True) -> bool:
        """A folder from there in the place of what was here, which goes only then, if ``sure`` says so afterwards."""
        with staging(target) as part:
            try:
                for name in self.call("files", source):
                    self.get_file(f"{source}/{name}", part / name)
            except FileNotFoundError:
                if sure():
                    raise
            if not sure():
                return False
            place(part, target)
        return True

    def get_file(self, source: str, target: Path) -> None:
        """One file from there."""
        folder(target.parent)
        with target.open("wb") as out:
            while data := self.call("read", source, out.tell(), PART):
                out.write(data)
