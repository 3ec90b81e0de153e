"""Trackers beside the work: opened on their own thread after the first step, fed through a queue, closed in time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modelnook.domain.event import Emit, Event, Failed, Finished, MetricLogged, Warned
from modelnook.domain.run import RunRecord
from modelnook.messages import t
from modelnook.tracking import TRACKERS
from modelnook.tracking.base import Tracker

__all__ = ["Trackers"]

_CLOSE_WITHIN = 20.0


class Trackers:
    """The trackers of one run; their trouble is a warning, never the run's end.

    Args:
        names: rows of ``TRACKERS``, each with an optional mode: ``wandb:offline``.
        status: told what the run's record should say of W&B.
    """

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        record: Callable[[], RunRecord],
        emit: Emit,
        status: Callable[[dict[str, Any]], None],
        *,
        resume: bool = False,
    ) -> None:
        self.names, self.folder, self.record, self.emit = names, folder, record, emit
        self.status, self.resume = status, resume
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def on_event(self, event: Event) -> None:
        """Queue an event; the first point starts the thread, so that no import delays the first step."""
        if not self.names or isinstance(event, (Finished, Failed, Warned)):
            return
        self._queue.put(event)
        if self._thread is None and isinstance(event, MetricLogged):
            self._thread = threading.Thread(target=self._work, name="modelnook-trackers", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write the last of it; gives up after seconds."""
        if self._thread:
            self._queue.put(None)
            self._thread.join(_CLOSE_WITHIN)

    def _work(self) -> None:
        open_ones = [t for t in map(self._open, self.names) if t]
        while (event := self._queue.get()) is not None:
            for tracker in open_ones:
                self._safely(tracker, tracker.on_event, event)
        for tracker in open_ones:
            self._safely(tracker, tracker.close, self.record())
            self._tell(tracker)

    def _open(self, row: str) -> Tracker | None:
        name, _, mode = row.partition(":")
        try:
            kind: Any = TRACKERS.load(name)
            tracker: Tracker = kind(self.folder, self.emit)
            tracker.open(self.record(), mode=mode or "auto", resume=self.resume)
            self._tell(tracker)
            return tracker
        except Exception as error:
            self._warn(name, error)
            return None

    def _tell(self, tracker: Tracker) -> None:
        status = tracker.status()
        if status is not None and tracker.name == "wandb":
            self.status(status)

    def _safely(self, tracker: Tracker, step: Callable[[Any], None], value: Any) -> None:
        try:
            step(value)
        except Exception as error:
            self._warn(tracker.name, error)

    def _warn(self, name: str, error: Exception) -> None:
        self.emit(Warned("jobs.tracker_failed", t("jobs.tracker_failed", name=name, error=str(error)[:200])))
