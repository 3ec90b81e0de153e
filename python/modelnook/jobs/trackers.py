"""Trackers beside the work: opened after the first step, closed in time; nothing of theirs holds up the training."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from modelnook.domain.event import Event, Failed, Finished, MetricLogged, Warned
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
        self._own = Apart() if far and apart is None else None
        self._parts: list[Listener | There] = [Listener(replace(run, names=near))] if near else []
        if far:
            self._parts.append((apart or self._own or Apart()).listener(replace(run, names=far)))
        self._early: list[Event] = []
        self._open = False
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Load in good time what is needed: while a job makes ready, a core is idle."""
        if self._own:
            self._own.prepare()

    def on_event(self, event: Event) -> None:
        """Hand on an event; the first point opens the trackers, so that nothing delays the first step."""
        if not self._parts or isinstance(event, (Finished, Failed, Warned)):
            return
        with self._lock:
            self._early.append(event)
            if not self._open and not isinstance(event, MetricLogged):
                return
            if not self._open:
                self._open = True
                for part in self._parts:
                    part.open(self.record())
            for early in self._early:
                for part in self._parts:
                    part.on_event(early)
            self._early.clear()

    def close(self) -> None:
        """Write the last of it; gives up after seconds."""
        with self._lock:
            parts, self._parts = self._parts, []
        if self._open:
            until = time.monotonic() + CLOSE_WITHIN
            for part in parts:
                part.close(self.record())
            for part in parts:
                part.wait(max(0.0, until - time.monotonic()))
        if self._own:
            self._own.end()


def _near(row: str) -> bool:
    """Whether a tracker needs what only this process has at hand: PyTorch, which isn't loaded a second time for it.

    Another's import and calls would hold up the training's thread here.
    """
    name = row.partition(":")[0]
    return name not in TRACKERS or "torch" in TRACKERS[name].requires


def _goes(row: str) -> bool:
    return row.partition(":")[0] != "wandb" or mode_of(row.partition(":")[2] or "auto", current()) != "none"
