"""The trials of a study on the machines of a cluster, as many at once as it has accelerators; the study stays here.

Each slot is a process there that holds the rows and the base models for the whole study. A thread here asks the study
for knobs, follows the training, tells its values, and takes the model over where nothing before beats it. A machine
that is lost is a failed trial; its slot goes on with another as soon as there is one.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelnook.domain.errors import ConflictError, ModelnookError, UsageError
from modelnook.domain.event import Emit, event_from_dict
from modelnook.jobs.steps.context import Context
from modelnook.jobs.steps.fitting import Fitted, Keep
from modelnook.jobs.steps.tune import Trials
from modelnook.jobs.transfer import Stopped, Transfer

__all__ = ["Slot", "Slots"]

LOOK_S = 0.2
AGAIN = 3
"""Losses of one slot, before it could try, after which the cluster is taken for lost."""

Call = Callable[..., Any]
Stop = Callable[[], bool]
Start = Callable[[Stop, Callable[[str], None]], Call | None]
"""``(stop, phase)``: waits for room; a function that calls a method of
:class:`~modelnook.jobs.remote_trials.RemoteTrials` by its name, or None where ``stop`` said so meanwhile."""


def _lost(error: BaseException) -> bool:
    return isinstance(error, ConflictError) and error.code == "jobs.node_lost"


class Slot:
    """One accelerator, or some cores, of the cluster."""

    def __init__(self, context: Context, start: Start) -> None:
        self.context, self.start = context, start
        self.call: Call | None = None
        self.logged = 0

    def ready(self, stop: Stop, phase: Callable[[str], None]) -> bool:
        """Wait for room and send what all trials read; False where ``stop`` said so meanwhile.

        Raises:
            ConflictError: the machine was lost while files went there.
            ModelnookError: the cluster can't do it.
        """
        if self.call is not None:
            return True
        call = self.start(stop, phase)
        if call is None:
            return False
        phase("sending")
        try:
            self._send(call, Transfer(call, stop))
        except Stopped:
            return False
        self.call, self.logged = call, 0
        return True

    def _send(self, call: Call, files: Transfer) -> None:
        """The rows, every base model's folder, the recipe: there is no token there, and maybe no network."""
        context, recipe, run = self.context, self.context.recipe, self.context.run
        for sha256 in run.snapshots():
            files.put(context.store.data / sha256, f"data/{sha256}")
        models = {ref: f"bases/{at}" for at, ref in enumerate(dict.fromkeys((recipe.model, *recipe.models)))}
        for ref, there in models.items():
            files.put(context.fetch(ref), there)
        sent = replace(recipe, on="process", track=(), threads=None, contents=())
        record = replace(context.recorder.record, state="queued", pid=None, wandb=None, report=None)
        call("create", sent.to_dict(), record.to_dict(), run.split() or None)
        call("open", models)

    def fit(self, name: str, knobs: Mapping[str, Any], out: Path, emit: Emit, stop: Stop, keep: Keep) -> Fitted:
        """See :data:`~modelnook.jobs.steps.fitting.Fit`.

        Raises:
            ConflictError: the machine is lost, and with it the trial.
            ModelnookError: what the training failed with there.
        """
        call = self.call
        assert call is not None
        try:
            call("begin_trial", name, dict(knobs))
            done = self._followed(call, emit, stop)
            if keep(done.metrics):
                Transfer(call, lambda: False).get(f"trials/{name}", out)
            call("drop")
            return done
        except BaseException as error:
            if _lost(error):
                self.call = None
            elif self.call is not None:
                self._give_up(call)
            raise

    def _followed(self, call: Call, emit: Emit, stop: Stop) -> Fitted:
        asked, told = False, 0
        while True:
            if not asked and stop():
                asked = True
                call("end_trial")
            seen = call("look_trial", told, self.logged)
            text, self.logged = seen["log"]
            sys.stdout.write(text)
            sys.stdout.flush()
            told += len(seen["events"])
            for event in filter(None, (event and event_from_dict(event) for event in seen["events"])):
                emit(event)
            end = seen["end"]
            if end and "error" in end:
                told_there = end["error"]
                # A disk that is full there isn't the study's.
                raise ModelnookError.told({**told_there, "kind": told_there["kind"].replace("StoreError", "")})
            if end:
                return Fitted(**end["done"])
            time.sleep(LOOK_S)

    def _give_up(self, call: Call) -> None:
        try:
            call("give_up")
        except ModelnookError as error:
            if _lost(error):
                self.call = None

    def close(self) -> None:
        """End the process there."""
        if self.call is not None:
            try:
                self.call("close")
            except ModelnookError:
                # It is gone, and its folder with it or beyond reach.
                pass
            self.call = None


class Slots:
    """See :class:`~modelnook.jobs.steps.tune.Places`."""

    def __init__(self, context: Context, slots: Sequence[Slot]) -> None:
        self.context, self.slots = context, slots
        self.count = len(slots)
        self.error: BaseException | None = None
        self.first = threading.Lock()

    def search(self, trials: Trials) -> None:
        """Try in all slots.

        Raises:
            ModelnookError: the default configuration fails, trials fail one after another, the cluster is lost.
        """
        threads = [
            threading.Thread(target=self._work, args=(slot, trials), name=f"modelnook-slot-{at}", daemon=True)
            for at, slot in enumerate(self.slots)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.error is not None:
            raise self.error
        if trials.study.default is None and not self.context.stop():
            raise UsageError("tune.no_room", address=self.context.recipe.on)

    def _work(self, slot: Slot, trials: Trials) -> None:
        try:
            self._try(slot, trials)
        except BaseException as error:
            # The first tells why; what the others end with follows from it.
            self.error = self.error or error
        finally:
            slot.close()

    def _try(self, slot: Slot, trials: Trials) -> None:
        losses = 0
        while not self._over(trials):
            try:
                if not slot.ready(lambda: self._over(trials), lambda name: self._say(trials, name)):
                    return
                with self.first:
                    # The others are told from it.
                    if trials.study.default is None and not self._over(trials):
                        trials.search(most=0, fit=slot.fit)
            except ConflictError as error:
                slot.call = None
                losses += 1
                if not _lost(error) or losses >= AGAIN:
                    raise
                time.sleep(LOOK_S)
                continue
            losses = 0
            trials.search(
                most=trials.most,
                at_once=self.count,
                fit=slot.fit,
                stop=lambda: self.error is not None or slot.call is None,
            )
            if slot.call is not None:
                return

    def _say(self, trials: Trials, phase: str) -> None:
        """What a slot waits for is what the run does only as long as no other tries."""
        if trials.study.default is None:
            self.context.phase(phase)

    def _over(self, trials: Trials) -> bool:
        """Whether a slot that waits has nothing more to wait for."""
        if self.error is not None or self.context.stop():
            return True
        if time.monotonic() >= trials.deadline():
            return True
        return trials.most is not None and len(trials.study.told()) >= trials.most
