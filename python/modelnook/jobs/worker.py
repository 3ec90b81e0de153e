"""``python -m modelnook.jobs.worker RUN EPOCH``: takes a run's lease, waits for its device, works, writes, ends.

The first that trains leaves a process behind from which the next are forked, see :mod:`modelnook.jobs.warm`.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from dataclasses import asdict, replace
from types import FrameType
from typing import Any

from modelnook.domain.errors import ConflictError, ModelnookError
from modelnook.domain.event import Finished, Progress
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.jobs import card, executor, warm
from modelnook.jobs.base import Executor
from modelnook.jobs.device import WITHOUT_DEVICE, device_lease, pick, wait_for
from modelnook.jobs.environment import environment
from modelnook.jobs.listener import Tracked
from modelnook.jobs.recorder import Recorder
from modelnook.jobs.trackers import Trackers
from modelnook.runtime.silence import mute_imports
from modelnook.settings import current
from modelnook.store import Store
from modelnook.store.lease import Holder
from modelnook.store.runs import RunFolder

__all__ = ["main", "uncut", "work"]

_STOPPED = ("hub.stopped", "publish.stopped")


def main(arguments: list[str]) -> int:
    """The worker's program; 0 when the run ended in any recorded way, 3 when another has it."""
    mute_imports()
    warmth = warm.place(current().home, sys.executable, os.environ)
    run, seen, holder = _take(arguments)
    if holder and _trains(run):
        forked = warm.become(current().home, warmth)
        if forked == []:
            return 0
        if forked:
            uncut(forked)
            run, seen, holder = _take(forked)
    if holder is None:
        return 3
    code = work(Store(), run, seen, holder)
    warm.teach(warmth)
    return code


def uncut(arguments: list[str]) -> None:
    """Start afresh, with these arguments, where what this was forked from has asked for the GPU after all."""
    if card.cut_off():
        command = [sys.executable, "-P", "-m", "modelnook.jobs.worker", *arguments]
        os.execve(sys.executable, command, dict(os.environ))


def _take(arguments: list[str]) -> tuple[RunFolder, int, Holder | None]:
    """A run, the epoch it follows, and its lease; held before anything is imported, which may take long."""
    run, seen = RunFolder(current().home / "runs" / arguments[0]), int(arguments[1])

    def ask(signal_number: int, frame: FrameType | None) -> None:
        # A terminal's Ctrl-C or a polite kill is a wish to stop like any other: finish the step, keep the model.
        run.request_stop()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return run, seen, run.lease.take(seen) if run.recipe() else None


def _trains(run: RunFolder) -> bool:
    """Whether a job imports PyTorch in any case; one on ONNX Runtime must not wait for it."""
    recipe = run.recipe()
    return recipe is not None and recipe.verb in ("finetune", "tune") and recipe.on == "process"


def work(store: Store, run: RunFolder, seen: int = 0, holder: Holder | None = None) -> int:
    """Do a run in this process: the child's body, and ``on="kernel"``."""
    recipe, record = run.recipe(), run.record()
    holder = holder or (run.lease.take(seen) if recipe and record else None)
    if recipe is None or record is None or holder is None:
        return 3
    recorder = Recorder(store, run, holder, replace(record, state="queued"))
    try:
        _do(store, run, recipe, recorder, resume=seen > 0)
    except BaseException as error:
        if not isinstance(error, ModelnookError):
            traceback.print_exc()
        recorder.fail(error)
        if not isinstance(error, Exception):
            raise
    finally:
        recorder.close()
    return 0


def _do(store: Store, run: RunFolder, recipe: Recipe, recorder: Recorder, *, resume: bool) -> None:
    place = executor(recipe.on)
    if recipe.verb in WITHOUT_DEVICE or not place.here:
        _work(store, run, recipe, recorder, place, None if place.here else place.on, resume=resume)
        return
    device = pick(recipe.device)
    recorder.change(device=device)
    seat = wait_for(store, run, device, recorder.stop, lambda behind: recorder.change(progress=_waiting(behind)))
    if seat is None:
        recorder.emit(Finished(stopped=True))
        return
    try:
        _work(store, run, recipe, recorder, place, device, resume=resume)
    finally:
        device_lease(store, device).give_back(seat.epoch)


def _waiting(behind: RunRecord | None) -> dict[str, Any]:
    """What a run's record says of its progress while another has its device."""
    named = {"behind": {"id": behind.id, "name": behind.name}} if behind else {}
    return {**asdict(Progress("waiting")), **named}


def _work(
    store: Store,
    run: RunFolder,
    recipe: Recipe,
    recorder: Recorder,
    place: Executor,
    device: str | None,
    *,
    resume: bool,
) -> None:
    """Do what the recipe says, with its trackers listening."""
    try:
        seconds = _seconds_so_far(run) if resume else 0.0
        recorder.begin(device=device, resumed_seconds=seconds)
        tracked = Tracked(
            recipe.track,
            run.path / "tracking",
            recorder.emit,
            lambda status: recorder.change(wandb=status),
            resume,
        )
        trackers = Trackers(tracked, lambda: recorder.record)
        if recipe.verb == "finetune":
            trackers.prepare()
        recorder.listeners.append(trackers.on_event)
        recorder.before_end.append(trackers.close)
        try:
            finished = place.execute(store, run, recipe, recorder, resume=resume)
            # Trackers tell of themselves meanwhile, in threads of their own.
            made_in = environment(recorder.record) if device and place.here else None
            recorder.change(
                metrics=finished.metrics, intervals=finished.intervals, model=finished.model, environment=made_in
            )
        finally:
            # Before the run's end is written: where W&B has it is part of the record.
            trackers.close()
        recorder.emit(finished)
    except ConflictError as error:
        if error.code not in _STOPPED:
            raise
        recorder.emit(Finished(stopped=True))


def _seconds_so_far(run: RunFolder) -> float:
    """The time at the last point before a resume, so that curves go on where they were."""
    return max((run.series.read(n)[-2] for n in run.series.names() if len(run.series.read(n))), default=0.0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
