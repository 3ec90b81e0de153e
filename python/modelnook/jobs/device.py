"""Which device a job takes, without importing torch; and the queue for it: a lease a device, oldest run first."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from modelnook.domain.run import MOVES, RunRecord
from modelnook.store import Store
from modelnook.store.lease import Holder, Lease
from modelnook.store.runs import RunFolder

__all__ = ["WITHOUT_DEVICE", "device_lease", "has_gpu", "pick", "wait_for"]

WITHOUT_DEVICE = frozenset(MOVES)
"""Kinds of jobs that compute nothing: they wait for nobody and nobody waits for them."""

_LOOK_S = 2.0


def pick(wanted: str = "auto") -> str:
    """``cuda`` where there is a card that this process may see, ``mps`` on Apple silicon, else ``cpu``."""
    if wanted != "auto":
        return wanted
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible not in ("", "-1") and (Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists()):
        return "cuda"
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps"
    return "cpu"


def has_gpu() -> bool:
    """Whether there is one for what is made on a GPU only, as far as that is told without torch."""
    return pick() == "cuda"


def device_lease(store: Store, device: str) -> Lease:
    """The lease of a device of this machine."""
    name = "".join(c if c.isalnum() else "-" for c in f"{platform.node()}-{device}")
    return Lease(store.home / "devices" / name)


def wait_for(
    store: Store,
    run: RunFolder,
    device: str,
    stop: Callable[[], bool],
    waiting: Callable[[RunRecord | None], None] = lambda behind: None,
) -> Holder | None:
    """Wait until the device is free and no older run waits for it; None where the run was stopped meanwhile.

    ``waiting`` is called where it really isn't free, with the run that is waited for, and again where that is another.
    """
    lease = device_lease(store, device)
    said: tuple[str | None, ...] = ()
    look = 0.0
    while not stop():
        if lease.live() is None and _ahead(store, run, device) is None:
            holder = lease.take(lease.epoch())
            if holder:
                lease.tidy()
                return holder
        if time.monotonic() >= look:
            look = time.monotonic() + _LOOK_S
            behind = _behind(store, run, device)
            named = (behind.id if behind else None,)
            if said != named:
                said = named
                waiting(behind)
        time.sleep(0.2)
    return None


def _behind(store: Store, run: RunFolder, device: str) -> RunRecord | None:
    """The run whose process has the device; where none has it, the one that is to take it first."""
    holder = device_lease(store, device).live()
    if holder is None:
        return _ahead(store, run, device)
    holders = (r for r in _queue(store, run, device) if (r.pid, r.host) == (holder.pid, holder.host))
    return next(holders, None)


def _ahead(store: Store, run: RunFolder, device: str) -> RunRecord | None:
    """The oldest run that waits for the device with a live worker, if it is older than ``run``."""
    mine = run.record()
    if mine is None:
        return None
    for other in _queue(store, run, device):
        older = (other.created or "", other.id) < (mine.created or "", mine.id)
        if other.state == "queued" and older and store.run(other.id).lease.live():
            return other
    return None


def _queue(store: Store, run: RunFolder, device: str) -> list[RunRecord]:
    """The other live runs, oldest first, that compute on a device: on this one, or don't know yet on which."""
    every = (other for other in store.index.live() if other.id != run.id and other.kind not in WITHOUT_DEVICE)
    return [other for other in every if other.device in (None, device)]
