"""What isn't fatal comes beside the training, after its first step: nobody waits for a warning."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from modelnook.domain.event import Event, MetricLogged
from modelnook.jobs.recorder import Recorder

__all__ = ["Beside", "after_first_step"]

_END_WITHIN = 20.0


class Beside:
    """Work on a thread of its own; its errors go to the log alone."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._quietly, name="modelnook-beside", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Wait until it is done, or for some seconds: a training may be over before its rows are looked at."""
        self.start()
        if self._thread is not None:
            self._thread.join(_END_WITHIN)

    def _quietly(self) -> None:
        try:
            self._work()
        except Exception:
            traceback.print_exc()


def after_first_step(recorder: Recorder, work: Callable[[], None]) -> Beside:
    """Do ``work`` once, when the first point was logged."""
    beside = Beside(work)

    def listen(event: Event) -> None:
        if isinstance(event, MetricLogged):
            beside.start()

    recorder.listeners.append(listen)
    return beside
