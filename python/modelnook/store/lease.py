"""Who may write a run's folder, or use a device: one holder at a time, without a daemon.

A lease is a folder of files ``000001.json, 000002.json …``; the highest is the one that counts (its *epoch*), and
creating the next is a compare-and-set, because the file is put only if absent. A holder on this machine is alive as
long as its process is, however old its heartbeat (laptops sleep, debuggers stop); on another machine it is alive
while its heartbeat is fresh.
"""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from modelnook.store.files import put_if_absent, read_json

__all__ = ["STALE_AFTER", "Holder", "Lease", "me"]

STALE_AFTER = 120.0
"""Seconds without a heartbeat after which a holder on another machine counts as dead."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process, named so that no later process can be taken for it."""

    host: str
    boot: str
    pid: int
    start: float
    epoch: int = 0

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Holder:
        """Read the form of a lease's file; unknown keys are left out."""
        return cls(**{k: v for k, v in data.items() if k in cls.__dataclass_fields__})

    def here(self) -> bool:
        """Whether it runs, or ran, on this machine since its last boot (and in this pid namespace)."""
        return self.host == platform.node() and self.boot == _boot()

    def alive(self, heartbeat: float | None) -> bool:
        """Whether it still runs; ``heartbeat`` is the time of its last sign of life, for other machines."""
        if self.here():
            return _start(self.pid) == self.start
        if self.host == platform.node():
            return False
        return heartbeat is not None and time.time() - heartbeat < STALE_AFTER


def me() -> Holder:
    """This process."""
    return Holder(platform.node(), _boot(), os.getpid(), _start(os.getpid()) or 0.0)


@cache
def _boot() -> str:
    """What changes when pids begin anew: the boot, and the pid namespace of a container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))


def _start(pid: int) -> float | None:
    """When a live process began (clock ticks since boot on Linux); None for one that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else float(fields[19])
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except (OSError, IndexError, ValueError):
        return None
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


class Lease:
    """The lease of one folder.

    >>> import tempfile
    >>> lease = Lease(Path(tempfile.mkdtemp()))
    >>> lease.take(0).epoch, lease.take(0)
    (1, None)
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def epoch(self) -> int:
        """The highest epoch taken; 0 for none."""
        try:
            return max(
                (int(n[:6]) for n in os.listdir(self.path) if n.endswith(".json") and n[:6].isdigit()), default=0
            )
        except FileNotFoundError:
            return 0

    def holder(self) -> Holder | None:
        """Who took it last, whether alive or not; None where nobody did or it was given back."""
        epoch = self.epoch()
        if not epoch or self._given_back(epoch).exists():
            return None
        data = read_json(self._file(epoch))
        return Holder.from_dict(data) if isinstance(data, dict) else None

    def live(self) -> Holder | None:
        """The holder, if it is alive."""
        holder = self.holder()
        return holder if holder and holder.alive(self.heartbeat()) else None

    def take(self, seen: int) -> Holder | None:
        """Take the epoch after ``seen``; None where another was faster. The caller has seen the old holder dead."""
        mine = me()
        mine = Holder(mine.host, mine.boot, mine.pid, mine.start, seen + 1)
        done = put_if_absent(self._file(seen + 1), json.dumps(asdict(mine)).encode())
        return mine if done else None

    def held(self, epoch: int) -> bool:
        """Whether ``epoch`` is still the highest: asked before each write. A removed folder isn't held."""
        return self._file(epoch).exists() and not self._file(epoch + 1).exists()

    def give_back(self, epoch: int) -> None:
        """Say that the holder of ``epoch`` is done."""
        put_if_absent(self._given_back(epoch), b"")

    def tidy(self) -> None:
        """Remove what epochs before the newest left behind."""
        newest = self.epoch()
        for name in os.listdir(self.path):
            if name[:6].isdigit() and int(name[:6]) < newest:
                (self.path / name).unlink(missing_ok=True)

    def beat(self) -> None:
        """A sign of life for other machines."""
        beat = self.path / "heartbeat"
        try:
            os.utime(beat)
        except FileNotFoundError:
            beat.touch(mode=0o600)

    def heartbeat(self) -> float | None:
        """When the last sign of life was, in seconds since 1970."""
        try:
            return (self.path / "heartbeat").stat().st_mtime
        except FileNotFoundError:
            return None

    def _file(self, epoch: int) -> Path:
        return self.path / f"{epoch:06d}.json"

    def _given_back(self, epoch: int) -> Path:
        return self.path / f"{epoch:06d}.done"
