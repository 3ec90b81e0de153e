"""A tracker listens to a run's events and takes them somewhere. It never stalls or fails the run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelnook.domain.event import Emit, Event
from modelnook.domain.run import RunRecord

__all__ = ["Tracker"]


class Tracker(ABC):
    """Lives in the job's process, opened after its first training step, or in one beside it, opened before that.

    Args:
        folder: the run's folder; what a tracker writes lies below it.
        emit: where it says what went wrong (``Warned``); its own events don't come back to it.
    """

    name: str

    def __init__(self, folder: Path, emit: Emit) -> None:
        self.folder = folder
        self.emit = emit

    @classmethod
    def prepare(cls) -> None:
        """Import what it needs: called in good time before ``open``, where there is a quiet moment."""

    @abstractmethod
    def open(self, record: RunRecord, *, mode: str = "auto", resume: bool = False) -> None:
        """Start, or go on with, the record of this run. ``mode`` is ``auto``, ``online`` or ``offline``."""

    @abstractmethod
    def on_event(self, event: Event) -> None:
        """Take one event; returns at once (queues what would wait)."""

    def expect(self, events: Sequence[Event]) -> None:
        """Hear of events that have gathered, before each is taken: what is done once for all of them is done here."""

    @abstractmethod
    def close(self, record: RunRecord) -> None:
        """End within seconds; ``record`` holds the final state, metrics and model."""

    def status(self) -> dict[str, Any] | None:
        """What the run's record says of it, e.g. ``{"url": …, "path": …, "synced": …}`` for W&B."""
        return None
