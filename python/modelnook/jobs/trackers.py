"""Trackers beside the work: fed through a queue, opened after the first step, closed in time; a heavy one is apart."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modelnook.domain.event import Emit, Event, Failed, Finished, MetricLogged, Warned
from modelnook.domain.run import RunRecord
from modelnook.jobs.apart import Apart
from modelnook.jobs.listener import CLOSE_WITHIN, Listener
from modelnook.settings import current
from modelnook.tracking import TRACKERS
from modelnook.tracking.destination import mode_of

__all__ = ["Trackers"]


class Trackers:
    """The trackers of one run; their trouble is a warning, never the run's end.

    Args:
        names: rows of ``TRACKERS``, each with an optional mode: ``wandb:offline``.
        status: told what the run's record should say of W&B.
        apart: the process for those that aren't in this one; else one is started for this run alone.
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
        apart: Apart | None = None,
    ) -> None:
        self.record = record
        near = [row for row in names if _near(row)]
        far = [row for row in names if not _near(row) and _goes(row)]
        self._own = Apart() if far and apart is None else None
        process = apart or self._own
        self._parts: list[Any] = [Listener(near, folder, emit, status, resume=resume)] if near else []
        if far and process:
            self._parts.append(process.listener(far, folder, emit, status, resume=resume))
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def prepare(self) -> None:
        """Load in good time what is needed: while a job makes ready, a core is idle."""
        if self._own:
            self._own.start()

    def on_event(self, event: Event) -> None:
        """Queue an event; the first point starts the thread, so that nothing delays the first step."""
        if not self._parts or isinstance(event, (Finished, Failed, Warned)):
            return
        self._queue.put(event)
        if self._thread is None and isinstance(event, MetricLogged):
            self._thread = threading.Thread(target=self._work, name="modelnook-trackers", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write the last of it; gives up after seconds."""
        if self._thread:
            self._queue.put(None)
            self._thread.join(CLOSE_WITHIN)
        if self._own:
            self._own.end()

    def _work(self) -> None:
        for part in self._parts:
            part.open(self.record())
        while (event := self._queue.get()) is not None:
            for part in self._parts:
                part.on_event(event)
        for part in self._parts:
            part.close(self.record())


def _near(row: str) -> bool:
    """Whether a tracker needs what only this process has at hand: PyTorch, which isn't loaded a second time for it.

    Another's import and calls would hold up the training's thread here.
    """
    name = row.partition(":")[0]
    return name not in TRACKERS or "torch" in TRACKERS[name].requires


def _goes(row: str) -> bool:
    return row.partition(":")[0] != "wandb" or mode_of(row.partition(":")[2] or "auto", current()) != "none"
