"""Trackers of a run in this process, called from a thread of their own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelnook.domain.event import Emit, Event, Warned
from modelnook.domain.run import RunRecord
from modelnook.tracking import TRACKERS
from modelnook.tracking.base import Tracker

__all__ = ["CLOSE_WITHIN", "Listener", "Tracked"]

CLOSE_WITHIN = 20.0
"""Seconds for what a tracker has still to write or to send at a run's end."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """What the trackers of a run are told at first.

    Args:
        names: rows of ``TRACKERS``, each with an optional mode: ``wandb:offline``.
        folder: theirs.
        emit: takes what went wrong.
        status: told what the run's record should say of W&B.
    """

    names: Sequence[str]
    folder: Path
    emit: Emit
    status: Callable[[dict[str, Any]], None]
    resume: bool = False


class Listener:
    """Opens trackers, hands them events, closes them; nobody waits but in :meth:`wait`. Trouble is a warning."""

    def __init__(self, run: Tracked, closed: Callable[[], None] = lambda: None) -> None:
        self.run = run
        self.closing = False
        self._closed = closed
        self._orders: queue.SimpleQueue[Event | RunRecord] = queue.SimpleQueue()
        self._over = threading.Event()

    def open(self, record: RunRecord) -> None:
        """Start them."""
        threading.Thread(target=self._work, args=(record,), name="modelnook-trackers", daemon=True).start()

    def on_event(self, event: Event) -> None:
        """Hand on an event."""
        self._orders.put(event)

    def close(self, record: RunRecord) -> None:
        """Write the last of it."""
        self.closing = True
        self._orders.put(record)

    def wait(self, seconds: float) -> None:
        """Until they are closed, or for so long."""
        self._over.wait(seconds)

    def _work(self, record: RunRecord) -> None:
        trackers = [tracker for tracker in (self._open(row, record) for row in self.run.names) if tracker]
        last: RunRecord | None = None
        while last is None:
            events, last = self._next()
            for tracker in trackers:
                self._safely(tracker, tracker.expect, events)
                for event in events:
                    self._safely(tracker, tracker.on_event, event)
        for tracker in trackers:
            self._safely(tracker, tracker.close, last)
            self._tell(tracker)
        self._over.set()
        self._closed()

    def _next(self) -> tuple[list[Event], RunRecord | None]:
        """The events that have gathered, and the last record where it has come; waits until there is one of either."""
        events: list[Event] = []
        order = self._orders.get()
        while not isinstance(order, RunRecord):
            events.append(order)
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                return events, None
        return events, order

    def _open(self, row: str, record: RunRecord) -> Tracker | None:
        name, _, mode = row.partition(":")
        try:
            kind: Any = TRACKERS.load(name)
            tracker: Tracker = kind(self.run.folder, self.run.emit)
            tracker.open(record, mode=mode or "auto", resume=self.run.resume)
            self._tell(tracker)
            return tracker
        except Exception as error:
            self._warn(name, error)
            return None

    def _tell(self, tracker: Tracker) -> None:
        status = tracker.status()
        if status is not None and tracker.name == "wandb":
            self.run.status(status)

    def _safely(self, tracker: Tracker, step: Callable[[Any], None], value: Any) -> None:
        try:
            step(value)
        except Exception as error:
            self._warn(tracker.name, error)

    def _warn(self, name: str, error: Exception) -> None:
        self.run.emit(Warned.of("jobs.tracker_failed", name=name, error=str(error)[:200]))
