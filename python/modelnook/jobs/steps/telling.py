"""What a tuning tells beside its numbers: a run at W&B for each trial, and how much each knob matters."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from modelnook.domain.event import Event, Started
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.jobs.apart import Apart
from modelnook.jobs.listener import Tracked
from modelnook.jobs.steps.context import Context
from modelnook.jobs.trackers import Trackers

if TYPE_CHECKING:
    from modelnook.tune.study import Study

__all__ = ["Importances", "Logged"]

CLOSE_WITHIN = 20.0
"""Seconds that the end waits for the trackers of trials."""

IMPORTANCES_FROM = 60.0
IMPORTANCES_SHARE = 0.02
"""Of the trials' time (seconds), when the knobs' importances are first shown, and what computing them may take of it:
what computes them takes a second to import. At the end they are there in any case."""


class Logged:
    """Each trial is logged as a run of its own, in the group of the tuning run."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.records: dict[str, RunRecord] = {}
        self.trackers: dict[str, Trackers] = {}
        self.closing: list[threading.Thread] = []
        self.apart = Apart()

    def begin(self, name: str, recipe: Recipe) -> None:
        """A trial is going to train by this recipe."""
        context = self.context
        self.records[name] = replace(
            context.recorder.record,
            id=f"{context.run.id}-{name}",
            name=f"{recipe.name} {name}",
            kind="trial",
            group=context.run.id,
            base=recipe.model,
            method=recipe.method,
            params=recipe.knobs,
            report=None,
            model=None,
        )
        folder = context.run.path / "tracking" / "trials" / name
        names = [row for row in recipe.track if row.partition(":")[0] == "wandb"]
        record = partial(self.records.__getitem__, name)
        self.trackers[name] = Trackers(Tracked(names, folder, context.emit, lambda status: None), record, self.apart)

    def on_event(self, name: str, event: Event) -> None:
        """An event of its training."""
        if isinstance(event, Started):
            # What was resolved, before a tracker opens with it.
            record = self.records[name]
            self.records[name] = replace(record, params={**record.params, **event.params})
        self.trackers[name].on_event(event)

    def end(self, name: str, **fields: Any) -> None:
        """It has ended, with these fields of its record: nobody waits for its trackers but :meth:`close`."""
        self.records[name] = replace(self.records[name], **fields)
        close = self.trackers.pop(name).close
        thread = threading.Thread(target=close, name=f"modelnook-trial-{name}", daemon=True)
        thread.start()
        self.closing.append(thread)

    def close(self) -> None:
        """Wait for the trackers of trials."""
        for thread in self.closing:
            thread.join(CLOSE_WITHIN)
        self.apart.end()


class Importances:
    """How much each knob matters, computed anew when the trials since have taken long beside it."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.found: dict[str, float] = {}
        self.due = IMPORTANCES_FROM

    def __call__(self, rows: Sequence[dict[str, Any]], *, at_once: bool) -> dict[str, float]:
        """Those of the trials in ``rows``.

        Args:
            at_once: not to wait with the first: where there is a budget, what importing takes is a part of it, and not
                what comes after it.
        """
        took = sum(row["seconds"] for row in rows)
        if took >= self.due or (at_once and not self.found):
            began = time.monotonic()
            self.found = self.study.importances()
            self.due = took + (time.monotonic() - began) / IMPORTANCES_SHARE
        return self.found
