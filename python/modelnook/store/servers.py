"""Which servers run on this machine: a small file each, written by the server itself and gone with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelnook.store.files import folder, read_json, write_json
from modelnook.store.lease import Holder, me

__all__ = ["Servers"]


class Servers:
    """The servers of one person. Their tokens aren't written down."""

    def __init__(self, home: Path) -> None:
        self.path = home / "servers"

    @contextmanager
    def listed(self, about: dict[str, Any]) -> Iterator[None]:
        """Be one of them for as long as the block runs.

        Args:
            about: ``ref, host, port`` and what else there is to say.
        """
        file = folder(self.path) / f"{os.getpid()}.json"
        write_json(file, {**about, "holder": asdict(me())})
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    def live(self) -> list[dict[str, Any]]:
        """What each server that runs said of itself, and its ``pid``; the files of killed ones are removed."""
        found = []
        for file in sorted(self.path.glob("*.json")):
            said = read_json(file)
            if not isinstance(said, dict):
                continue
            holder = Holder.from_dict(said.pop("holder"))
            if holder.alive(None):
                found.append({**said, "pid": holder.pid})
            elif holder.here():
                file.unlink(missing_ok=True)
        return found
