"""The processes that train one model with a worker: started when the plan is made, watched, and ended with it."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from types import TracebackType

from modelnook.domain.errors import ConflictError, ModelnookError
from modelnook.finetune.plan import Plan
from modelnook.jobs import process
from modelnook.jobs.steps.context import Context
from modelnook.store.files import folder, read_json, write_json
from modelnook.training.base import Place

__all__ = ["Together"]

LOOK_S = 0.2
HEARD_S = 10.0
"""Seconds for the worker to hear of a lost process by itself: gloo tells at once, NCCL may wait for ever."""


class Together:
    """A context around a training; :meth:`gather` is for :func:`modelnook.finetune.engine.fit`.

    Raises (at its end):
        ConflictError: a process was lost (``jobs.rank_lost``), unless it said why itself: then that.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.ranks = context.run.path / "ranks"
        self.children: list[subprocess.Popen[bytes]] = []
        self.over = threading.Event()

    def gather(self, planned: Plan, count: int) -> Place | None:
        """Start the other processes. In a thread of somebody's kernel this one trains alone."""
        if threading.current_thread() is not threading.main_thread():
            return None
        shutil.rmtree(self.ranks, ignore_errors=True)
        folder(self.ranks)
        write_json(self.ranks / "plan.json", planned.to_dict())
        port = process.free_port()
        for rank in range(1, count):
            self.children.append(process.start_rank(self.context.store, self.context.run, rank, count, port))
        threading.Thread(target=self._watch, name="modelnook-ranks", daemon=True).start()
        return Place(0, count, port)

    def __enter__(self) -> Together:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lost = self._lost(1.0) if error is not None and not isinstance(error, ModelnookError) else None
        self.over.set()
        for child in self.children:
            # After a good end they end by themselves: they leave the worker's signals to it.
            process.end(child, at_once=error is not None)
        why = self._why(lost) if lost is not None else None
        shutil.rmtree(self.ranks, ignore_errors=True)
        if why is not None:
            raise why from error

    def _lost(self, within: float = 0.0) -> int | None:
        """The rank of a process that has failed, waiting some seconds for it to be gone."""
        end = time.monotonic() + within
        while True:
            for rank, child in enumerate(self.children, 1):
                if child.poll() not in (None, 0):
                    return rank
            if not self.children or time.monotonic() >= end:
                return None
            time.sleep(0.05)

    def _why(self, rank: int) -> ModelnookError:
        told = read_json(self.ranks / f"{rank}.json")
        if isinstance(told, dict):
            return ModelnookError.told(told)
        code = self.children[rank - 1].returncode
        return ConflictError("jobs.rank_lost", rank=rank + 1, count=len(self.children) + 1, code=code)

    def _watch(self) -> None:
        """Where a process is lost and the worker doesn't hear of it, end the run from here."""
        while not self.over.wait(LOOK_S):
            rank = self._lost()
            if rank is None:
                continue
            if not self.over.wait(HEARD_S):
                self.context.recorder.leave(self._why(rank))
            return
