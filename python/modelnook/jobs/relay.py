"""Following a run on another machine: files go there, what its folder tells comes back as events of this one's."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from modelnook.domain.errors import ModelnookError
from modelnook.domain.event import Failed, Finished, MetricLogged, Progress, event_from_dict
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.jobs.remote import checkpoints_in
from modelnook.jobs.steps.context import Context
from modelnook.jobs.transfer import Stopped, Transfer
from modelnook.store.files import remove

__all__ = ["Relay"]

LOOK_S = 0.4


class Relay:
    """One run there.

    Args:
        call: calls a method of :class:`~modelnook.jobs.remote.Remote` by its name and gives its answer.
    """

    def __init__(self, context: Context, call: Callable[..., Any]) -> None:
        self.context, self.call = context, call
        self.files = Transfer(call, context.stop)
        self.there = f"runs/{context.run.id}"
        self.events = 0
        self.logged = 0
        self.points: dict[str, int] = {}
        self.progress: dict[str, Any] | None = None
        self.held: dict[str, str] = {}
        self.next_keep = 0.0
        self.end: Finished | Failed | None = None

    def run(self) -> Finished:
        """Send, start, follow to the end, take the model over.

        Raises:
            ModelnookError: what the run failed with there.
            ConnectionError: its process ended without an end of the run.
        """
        try:
            try:
                self._send()
            except Stopped:
                return Finished(stopped=True)
            self.held = dict(self.call("checkpoints"))
            self.call("begin", 1 if self.context.resume else 0)
            self._follow()
            if isinstance(self.end, Failed) or (self.end and self.end.stopped):
                self._keep(self.call("checkpoints"))
            if isinstance(self.end, Failed):
                raise ModelnookError.told({name: getattr(self.end, name) for name in Failed.__dataclass_fields__})
            if self.end is None:
                raise ConnectionError("its process ended")
            return self._taken(self.end)
        finally:
            self._close()

    def _close(self) -> None:
        try:
            self.call("close")
        except Exception:
            # It is gone, and its folder with it or beyond reach.
            pass

    def _send(self) -> None:
        """The rows, the base model's folder, the recipe, and checkpoints to go on from.

        The base goes whatever its source: there is no token there, and maybe no network.
        """
        context, recipe, run = self.context, self.context.recipe, self.context.run
        model = recipe.model
        base = context.fetch(model) if model else None
        context.phase("sending")
        for sha256 in run.snapshots():
            self.files.put(context.store.data / sha256, f"data/{sha256}")
        if base is not None:
            self.files.put(base, "base")
            model = f"{self.call('told')['home']}/base"
        sent = replace(recipe, model=model, on="process", track=(), threads=None, contents=())
        record = replace(context.recorder.record, state="queued", pid=None, wandb=None)
        self.call("create", sent.to_dict(), record.to_dict(), run.split() or None)
        if context.resume and run.checkpoints.is_dir():
            self.files.put(run.checkpoints, f"{self.there}/checkpoints")

    def _follow(self) -> None:
        asked = False
        while self.end is None:
            if not asked and self.context.stop():
                asked = True
                self.call("stop")
            seen = self.call("look", self.events, self.points, self.logged)
            self._take(seen)
            if self.end is None and not seen["alive"]:
                return
            if self.end is None:
                self._keep_if_due(seen["checkpoints"])
                time.sleep(LOOK_S)

    def _take(self, seen: dict[str, Any]) -> None:
        """Say again what was said there; an end is kept for later."""
        text, self.logged = seen["log"]
        sys.stdout.write(text)
        sys.stdout.flush()
        self.events += len(seen["events"])
        for event in filter(None, map(event_from_dict, seen["events"])):
            if isinstance(event, (Finished, Failed)):
                self.end = event
            else:
                self.context.emit(event)
        for name, numbers in seen["points"].items():
            self.points[name] = self.points.get(name, 0) + len(numbers)
        for logged in _logged(seen["points"]):
            self.context.emit(logged)
        if seen["progress"] and seen["progress"] != self.progress:
            self.progress = seen["progress"]
            self.context.emit(Progress(**seen["progress"]))

    def _keep_if_due(self, there: dict[str, str]) -> None:
        """Bring checkpoints, in a tenth of the time at most: the way may be slow."""
        began = time.monotonic()
        if began >= self.next_keep and there != self.held:
            self._keep(there)
            self.next_keep = time.monotonic() + 9 * (time.monotonic() - began)

    def _keep(self, there: dict[str, str]) -> None:
        """Bring the checkpoints that are new; once one to go on from is here, drop those that are gone there."""
        here = self.context.run.checkpoints
        for name, mark in there.items():
            if self.held.get(name) == mark:
                continue
            # A newer one may take its place meanwhile: what is then here is of both, and isn't kept.
            if self.files.get(f"{self.there}/checkpoints/{name}", here / name, partial(self._unchanged, name, mark)):
                self.held[name] = mark
                self.context.recorder.mirror.checkpoint(self.context.run.id, here / name)
        self.held = {name: mark for name, mark in self.held.items() if name in there}
        if any(name.rpartition("/")[2].startswith("step-") for name in self.held):
            for old in set(checkpoints_in(here)) - there.keys():
                remove(here / old)

    def _unchanged(self, name: str, mark: str) -> bool:
        return bool(self.call("checkpoints").get(name) == mark)

    def _taken(self, end: Finished) -> Finished:
        """The run's end here: its model is one of this store's, and what it found of the rows lies in its folder."""
        context, run = self.context, self.context.run
        context.phase("receiving")
        if run.label_issues.name in self.call("files", self.there):
            self.files.get_file(f"{self.there}/{run.label_issues.name}", run.label_issues)
        if end.model is None:
            return end
        path, told = self.call("model", end.model)
        made = run.path / "model"
        self.files.get(path, made)
        ref = context.add(made, context.recipe.name, self._entry(ModelInfo.from_dict(told)))
        if not end.stopped:
            shutil.rmtree(run.checkpoints, ignore_errors=True)
        return replace(end, model=str(ref))

    def _entry(self, told: ModelInfo) -> ModelInfo:
        """A made model's entry: there its base was a folder without a name."""
        recipe, base = self.context.recipe, self.context.base()
        if not recipe.model:
            return told
        named = str(ModelRef.parse(recipe.model))
        return replace(told, base_model=named, license=base.license, language=base.language)


def _logged(points: dict[str, list[float]]) -> list[MetricLogged]:
    """New points of curves (step, seconds, value, step, …) as what was logged at each step."""
    steps: dict[int, dict[str, float]] = {}
    for name, flat in points.items():
        for at in range(0, len(flat), 3):
            steps.setdefault(int(flat[at]), {})[name] = flat[at + 2]
    return [MetricLogged(step, values, epoch=values.pop("epoch", None)) for step, values in sorted(steps.items())]
