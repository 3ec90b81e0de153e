"""Trackers of a run in this process, called from one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modelnook.domain.event import Emit, Event, Warned
from modelnook.domain.run import RunRecord
from modelnook.messages import t
from modelnook.tracking import TRACKERS
from modelnook.tracking.base import Tracker

__all__ = ["CLOSE_WITHIN", "Listener"]

CLOSE_WITHIN = 20.0
"""Seconds for what a tracker has still to write or to send at a run's end."""


class Listener:
    """Opens trackers, hands them events, closes them; what goes wrong with one is a warning."""

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        emit: Emit,
        status: Callable[[dict[str, Any]], None],
        *,
        resume: bool = False,
    ) -> None:
        self.names, self.folder, self.emit, self.status, self.resume = names, folder, emit, status, resume
        self.trackers: list[Tracker] = []

    def open(self, record: RunRecord) -> None:
        """Start them."""
        self.trackers = [t for t in (self._open(row, record) for row in self.names) if t]

    def on_event(self, event: Event) -> None:
        """Hand on an event."""
        for tracker in self.trackers:
            self._safely(tracker, tracker.on_event, event)

    def close(self, record: RunRecord) -> None:
        """Write the last of it."""
        for tracker in self.trackers:
            self._safely(tracker, tracker.close, record)
            self._tell(tracker)

    def _open(self, row: str, record: RunRecord) -> Tracker | None:
        name, _, mode = row.partition(":")
        try:
            kind: Any = TRACKERS.load(name)
            tracker: Tracker = kind(self.folder, self.emit)
            tracker.open(record, mode=mode or "auto", resume=self.resume)
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
