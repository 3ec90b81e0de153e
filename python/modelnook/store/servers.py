"""Which servers run on this machine: a small file each, written by the server itself and gone with it."""

from __future__ import annotations

import hashlib
import json
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
        holder = asdict(me())
        # A home may be shared with other machines, whose processes have the same numbers.
        name = hashlib.sha256(json.dumps(holder).encode()).hexdigest()[:16]
        file = folder(self.path) / f"{name}.json"
        write_json(file, {**about, "holder": holder})
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    def live(self) -> list[dict[str, Any]]:
        """What each server that runs said of itself, and its ``pid``; the files of killed ones are removed."""
        found = []
        for file in sorted(self.path.glob("*.json")):
            said = read_json(file)
            try:
                holder = Holder.from_dict(said.pop("holder"))
                about = {name: said[name] for name in ("ref", "host", "port", "device")}
            except (AttributeError, KeyError, TypeError):
                # A later version's may say it otherwise.
                continue
            if holder.alive(None):
                found.append({**about, "pid": holder.pid})
            elif holder.host == me().host:
                file.unlink(missing_ok=True)
        return found
