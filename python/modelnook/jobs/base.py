"""Where a recipe is carried out, and the two places that are always there: a child process, and this process."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import ClassVar

from modelnook.domain.event import Finished
from modelnook.domain.recipe import Recipe
from modelnook.jobs.recorder import Recorder
from modelnook.store import Store
from modelnook.store.runs import RunFolder

__all__ = ["Executor", "Kernel", "Process"]


class Executor(ABC):
    """A place. ``start`` is asked where the person is; ``execute`` in the worker that holds the run's lease.

    Args:
        on: what the person said, e.g. ``ray://10.0.0.5:10001``.
    """

    here: ClassVar[bool] = True
    """Whether it takes a device of this machine, and waits until that is free."""

    def __init__(self, on: str) -> None:
        self.on = on

    def check(self) -> None:
        """Refuse what can't work before a run is made.

        Raises:
            ModelnookError: with the reason.
        """

    @abstractmethod
    def start(self, store: Store, run: RunFolder, recipe: Recipe, *, seen: int) -> None:
        """Start the run's worker and return at once.

        Args:
            seen: the lease's epoch that the caller saw dead; above 0 the run is resumed.
        """

    def execute(self, store: Store, run: RunFolder, recipe: Recipe, recorder: Recorder, *, resume: bool) -> Finished:
        """Carry the recipe out; what it gives is the run's end."""
        from modelnook.jobs.steps import execute

        return execute(store, run, recipe, recorder, resume=resume)


class Process(Executor):
    """A worker process in a session of its own."""

    def start(self, store: Store, run: RunFolder, recipe: Recipe, *, seen: int) -> None:
        """See :meth:`Executor.start`."""
        from modelnook.jobs.process import start

        start(store, run, recipe.python, seen=seen)


class Kernel(Executor):
    """A thread of this process."""

    def start(self, store: Store, run: RunFolder, recipe: Recipe, *, seen: int) -> None:
        """See :meth:`Executor.start`. A thread, so that the waiting cell draws progress and an interrupt reaches it."""
        from modelnook.jobs.worker import work

        threading.Thread(target=work, args=(store, run, seen), name=f"modelnook-{run.id}", daemon=True).start()
