"""What isn't fatal comes beside the training, after its first step: nobody waits for a warning."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from modelnook.domain.event import Event, MetricLogged
from modelnook.jobs.recorder import Recorder

__all__ = ["after_first_step"]


def after_first_step(recorder: Recorder, work: Callable[[], None]) -> None:
    """Do ``work`` once on a thread of its own, when the first point was logged; its errors go to the log alone."""
    started = threading.Event()

    def quietly() -> None:
        try:
            work()
        except Exception:
            traceback.print_exc()

    def listen(event: Event) -> None:
        if isinstance(event, MetricLogged) and not started.is_set():
            started.set()
            threading.Thread(target=quietly, name="modelnook-beside", daemon=True).start()

    recorder.listeners.append(listen)
