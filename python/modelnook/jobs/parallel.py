"""The processes that try beside a tuning run's worker: as many as were asked for, where memory holds them."""

from __future__ import annotations

import subprocess
import time
from types import TracebackType

from modelnook.catalog.search import info
from modelnook.domain.event import Warned
from modelnook.jobs import process
from modelnook.jobs.steps.context import Context
from modelnook.measure.memory import free, need

__all__ = ["Parallel", "needed"]

LOOK_S = 0.1
SHARE = 0.9
"""Of the free memory, what they may take."""


class Parallel:
    """A context around a search; they end by themselves when the study has all its trials, or no time is left.

    Args:
        until: the time of ``time.monotonic`` at which the budget ends.
    """

    def __init__(self, context: Context, until: float | None) -> None:
        self.context = context
        self.until = None if until is None else time.time() + until - time.monotonic()
        self.children: list[subprocess.Popen[bytes]] = []
        self.count = 1
        """How many try at the same time, this process among them."""

    def __enter__(self) -> Parallel:
        asked = int(self.context.recipe.knobs.get("parallel") or 1)
        count = min(asked, 1 + self._room())
        if self.context.stop():
            return self
        if count < asked:
            self.context.emit(Warned.of("tune.less_parallel", asked=asked, count=count))
        self.count = count
        for place in range(1, count):
            epoch = self.context.recorder.holder.epoch
            child = process.start_trials(self.context.store, self.context.run, place, epoch, self.until)
            self.children.append(child)
        return self

    def wait(self) -> None:
        """Wait for the trials that they have begun; a process that was lost is told.

        Raises:
            ConflictError: another process has taken the run over; they are ended by leaving the context.
        """
        while any(child.poll() is None for child in self.children):
            self.context.hold()
            time.sleep(LOOK_S)
        self.context.hold()
        for child in self.children:
            if child.returncode:
                self.context.emit(Warned.of("tune.process_lost", code=child.returncode))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self.children:
            if child.poll() is None:
                process.end(child, at_once=True)

    def _room(self) -> int:
        """How many more models memory holds while they are trained."""
        needs, left = needed(self.context), free()
        return int(SHARE * left / needs) if needs and left is not None else 1 << 10


def needed(context: Context) -> int | None:
    """Bytes that a trial takes at most, by the largest of the models that are tried; None where none says its size."""
    recipe = context.recipe
    parameters = max(found.parameters or 0 for found in (context.base(), *(info(ref)[0] for ref in recipe.models)))
    method = recipe.method or "auto"
    return need(parameters).of("full" if method == "auto" else method) if parameters else None
