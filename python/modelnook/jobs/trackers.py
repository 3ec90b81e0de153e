"""Trackers beside the work: opened while it makes ready or after its first step, closed in time; nothing waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from modelnook.domain.event import Event, Failed, Finished, MetricLogged, Progress, Started, Warned
from modelnook.domain.run import RunRecord
from modelnook.jobs.apart import Apart, There
from modelnook.jobs.listener import CLOSE_WITHIN, Listener, Tracked
from modelnook.settings import current
from modelnook.tracking import TRACKERS
from modelnook.tracking.destination import mode_of

__all__ = ["Trackers"]


class Trackers:
    """The trackers of one run; their trouble is a warning, never the run's end.

    Args:
        record: the run's record as it is now.
        apart: the process for those that aren't in this one; else one is started for this run alone.
    """

    def __init__(self, run: Tracked, record: Callable[[], RunRecord], apart: Apart | None = None) -> None:
        self.record = record
        near = [row for row in run.names if _near(row)]
        far = [row for row in run.names if not _near(row) and _goes(row)]
        self._own: Apart | None = None
        self._parts: list[_Part] = []
        if near:
            self._parts.append(_Part(Listener(replace(run, names=near)), MetricLogged))
        if far:
            if apart is None:
                apart = self._own = Apart()
            # What it takes to begin, a core has before the first step and not beside the second.
            self._parts.append(_Part(apart.listener(replace(run, names=far)), (Started, MetricLogged)))
        self._early: list[Event] = []
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Load in good time what is needed: while a job makes ready, a core is idle."""
        if self._own:
            self._own.prepare()

    def on_event(self, event: Event) -> None:
        """Hand on an event; those in this process open with the first point, so that nothing delays the first step."""
        if not self._parts or isinstance(event, (Progress, Finished, Failed, Warned)):
            return
        with self._lock:
            for part in self._parts:
                if part.open:
                    part.listener.on_event(event)
                elif isinstance(event, part.opens):
                    part.open = True
                    part.listener.open(self.record())
                    for early in (*self._early, event):
                        part.listener.on_event(early)
            if all(part.open for part in self._parts):
                self._early.clear()
            else:
                self._early.append(event)

    def close(self) -> None:
        """Write the last of it; gives up after seconds."""
        with self._lock:
            parts, self._parts = [part.listener for part in self._parts if part.open], []
        if parts:
            until = time.monotonic() + CLOSE_WITHIN
            for part in parts:
                part.close(self.record())
            for part in parts:
                part.wait(max(0.0, until - time.monotonic()))
        if self._own:
            self._own.end()


@dataclass(slots=True)
class _Part:
    """Trackers in one process, and the events of which the first opens them."""

    listener: Listener | There
    opens: type[Event] | tuple[type[Event], ...]
    open: bool = False


def _near(row: str) -> bool:
    """Whether a tracker needs what only this process has at hand: PyTorch, which isn't loaded a second time for it.

    Another's import and calls would hold up the training's thread here.
    """
    name = row.partition(":")[0]
    return name not in TRACKERS or "torch" in TRACKERS[name].requires


def _goes(row: str) -> bool:
    return row.partition(":")[0] != "wandb" or mode_of(row.partition(":")[2] or "auto", current()) != "none"
