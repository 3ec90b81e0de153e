"""A run on another machine, seen from there: a store of its own in a temporary folder, and the same worker on a thread.

It lives in an actor of a cluster, whose process ends with it. What comes in and goes out is plain: text, numbers, bytes
of files; paths are relative to the folder, and none leads out of it.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelnook import __version__
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.jobs import warm
from modelnook.jobs.process import DEFAULTS
from modelnook.jobs.worker import work
from modelnook.settings import current
from modelnook.store import Store
from modelnook.store.files import folder, read_json
from modelnook.store.runs import RunFolder

__all__ = ["Remote"]


class Remote:
    """The files of a run come first (:meth:`write`), then :meth:`begin`; :meth:`look` tells what is new.

    Args:
        settings: variables of the person's environment that the run is to see.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="modelnook-"))
        for name in [n for n in os.environ if n.startswith("MODELNOOK_") and n != "MODELNOOK_DEBUG"]:
            del os.environ[name]
        # All that it reads was sent: it asks nobody.
        own = {"MODELNOOK_HOME": str(self.home), "MODELNOOK_OFFLINE": "1"}
        os.environ.update({**DEFAULTS, **settings, **own})
        # Of the machine's cores a run has its share, and tokenises on as many threads as train.
        os.environ["RAYON_NUM_THREADS"] = str(current().threads)
        self.store = Store(self.home)
        self.thread: threading.Thread | None = None
        self.run: RunFolder | None = None

    def told(self) -> dict[str, str]:
        """Version, machine and folder."""
        return {"version": __version__, "host": platform.node(), "home": str(self.home)}

    def write(self, path: str, offset: int, data: bytes) -> None:
        """Write a part of a file; at 0 the file is made anew."""
        target = self._inside(path)
        folder(target.parent)
        with target.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            file.write(data)

    def read(self, path: str, offset: int, limit: int) -> bytes:
        """A part of a file; empty at its end."""
        with self._inside(path).open("rb") as file:
            file.seek(offset)
            return file.read(limit)

    def files(self, path: str) -> list[str]:
        """Every file below a folder, relative to it."""
        root = self._inside(path)
        if not root.is_dir():
            raise FileNotFoundError(path)
        found = (Path(path, name).relative_to(root) for path, _, names in os.walk(root) for name in names)
        return sorted(file.as_posix() for file in found)

    def create(self, recipe: dict[str, Any], record: dict[str, Any], split: dict[str, list[int]] | None) -> None:
        """Make the run's folder; what is printed from now on goes to its log."""
        self.run = self.store.create_run(Recipe.from_dict(recipe), RunRecord.from_dict(record), split)
        warm.output(self.run.log)

    def begin(self, seen: int) -> None:
        """Start the worker; above 0 it goes on from the checkpoints that were written."""
        assert self.run is not None
        self.thread = threading.Thread(
            target=work, args=(self.store, self.run, seen), name="modelnook-run", daemon=True
        )
        self.thread.start()

    def look(self, events: int, points: Mapping[str, int], logged: int) -> dict[str, Any]:
        """What the run's folder holds.

        Args:
            events: how many events were told already.
            points: curve -> how many numbers of it were.
            logged: how many bytes of the log were.
        """
        assert self.run is not None
        # Asked first: what is read afterwards is all that a thread which has ended has written.
        alive = self.thread is not None and self.thread.is_alive()
        record = self.run.record()
        series = self.run.series
        return {
            "alive": alive,
            "progress": record.progress if record and record.state == "running" else None,
            "events": list(self.run.events())[events:],
            "points": {name: series.read(name)[points.get(name, 0) :].tolist() for name in series.names()},
            "log": self.run.read_log(logged),
            "checkpoints": self.checkpoints(),
        }

    def model(self, ref: str) -> tuple[str, dict[str, Any]]:
        """The folder of a model made here, and its entry."""
        name, _, revision = ref.partition(":")[2].rpartition("@")
        info = self.store.models.info(name, revision)
        return str(Path(info.path or "").relative_to(self.home)), info.to_dict()

    def stop(self) -> None:
        """Ask the worker to stop after its step."""
        if self.run is not None:
            self.run.request_stop()

    def close(self) -> None:
        """Remove the folder, when the worker has written its last."""
        if self.thread is not None:
            self.thread.join(10.0)
        shutil.rmtree(self.home, ignore_errors=True)

    def checkpoints(self) -> dict[str, str]:
        """Name of each complete checkpoint -> what changes when it is written anew."""
        assert self.run is not None
        found = {}
        for name in checkpoints_in(self.run.checkpoints):
            sums = read_json(self.run.checkpoints / name / "manifest.json")
            if isinstance(sums, dict):
                found[name] = str(sorted(sums.items()))
        return found

    def _inside(self, path: str) -> Path:
        target = (self.home / path).resolve()
        if not target.is_relative_to(self.home.resolve()):
            raise ValueError(path)
        return target


def checkpoints_in(root: Path) -> list[str]:
    """Complete checkpoints below a folder, by their paths in it: a training of two rounds has a folder for each."""
    # os.walk passes over what is replaced meanwhile; rglob raises.
    found = (Path(path).relative_to(root) for path, _, files in os.walk(root) if "manifest.json" in files)
    return sorted(name.as_posix() for name in found if not any(part.startswith(".") for part in name.parts))
