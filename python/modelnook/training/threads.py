"""CPU threads that make way for other programs.

Every operation waits for its slowest thread. Where another program takes a core, that thread sits out a time slice at
each of a thousand operations a step, and training falls to a tenth of its speed; on the cores that are left it hardly
suffers. So the cores that others use are watched, and left to them.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

__all__ = ["Threads", "others_cores"]

LOOK_S = 1.0
"""Seconds between two looks."""

CALM = 3
"""Looks without another program before a thread comes back."""

TOLERATED = 0.2
"""Cores that others may use without being noticed: a browser, a kernel that idles."""

LEFT_OVER = 0.5
"""Cores that programs of a lower priority may use unnoticed: what they find idle is less. Where Linux shares the cores
among sessions first (sched(7), "autogroup"), one of another session takes a full share, however low its priority."""

AT_ONCE = 0.6
"""Cores beyond these for which a thread goes at the first look; for fewer at the second: what is written to a disk, or
drawn, is over by then, and a thread that went would be missed for longer."""


class Threads:
    """The number of threads of this process's torch.

    Args:
        most: so many at most; None: the cores of this process. With ``MODELNOOK_THREADS`` set the number is fixed, so
            that results are the same to the last bit whatever else runs; without it, those that others use come off.
        busy: gives the cores that other processes have used since it was last asked; for tests.
    """

    def __init__(self, most: int | None, busy: Callable[[], float] | None = None) -> None:
        from modelnook.settings import current

        settings = current()
        self.fixed = "MODELNOOK_THREADS" in settings.environ
        self.most = settings.threads if most is None else most
        self.count = self.most
        self.busy = busy or others_cores()
        self.next_look = time.perf_counter() + LOOK_S
        self.calm = self.crowded = 0
        if self.count != torch.get_num_threads():
            torch.set_num_threads(self.count)

    def look(self) -> bool:
        """Between two steps: adapt if it is time. True where the number has changed."""
        now = time.perf_counter()
        if self.fixed or self.most == 1 or now < self.next_look:
            return False
        self.next_look = now + LOOK_S
        beyond = self.busy() - TOLERATED
        wanted = max(1, self.most - max(0, math.ceil(beyond)))
        self.crowded = self.crowded + 1 if wanted < self.count else 0
        if self.crowded == 1 and beyond < AT_ONCE:
            return False
        self.calm = self.calm + 1 if wanted > self.count else 0
        if wanted == self.count or (wanted > self.count and self.calm < CALM):
            return False
        self.calm, self.count = 0, wanted
        torch.set_num_threads(wanted)
        return True


def others_cores() -> Callable[[], float]:
    """A function that tells how many of this process's cores other processes have used since it was last called.

    Those of a lower priority than ours, as our trackers are, don't count where they make way themselves. It always
    tells 0 where the system doesn't say (no psutil, a sandbox).
    """
    try:
        import psutil

        own = psutil.Process()
        cores = own.cpu_affinity() if hasattr(own, "cpu_affinity") else None
        # Windows has classes of priority in place of niceness, and tells no times of them.
        free = ("idle", "iowait", "guest", "guest_nice", "nice")
        unnoticed = 0.0 if int(own.nice()) > 0 else LEFT_OVER if _among_sessions() else math.inf
    except (ImportError, OSError):
        return lambda: 0.0
    last = [time.perf_counter(), 0.0, 0.0, 0.0]

    def used() -> tuple[float, float, float]:
        times = psutil.cpu_times(percpu=True)
        mine = times if cores is None else [times[i] for i in cores if i < len(times)]
        all_busy = sum(sum(t) - sum(getattr(t, name, 0.0) for name in free) for t in mine)
        spent = os.times()
        return all_busy, sum(getattr(t, "nice", 0.0) for t in mine), spent.user + spent.system

    def look() -> float:
        try:
            busy, low, spent = used()
        except (OSError, RuntimeError):
            return 0.0
        now = time.perf_counter()
        seconds = max(1e-3, now - last[0])
        others = ((busy - last[1]) - (spent - last[3])) / seconds
        lower = (low - last[2]) / seconds
        last[:] = [now, busy, low, spent]
        return max(0.0, others + max(0.0, lower - unnoticed))

    look()
    return look


def _among_sessions() -> bool:
    """Whether the system shares the cores among sessions before it does among their processes."""
    try:
        return Path("/proc/sys/kernel/sched_autogroup_enabled").read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False
