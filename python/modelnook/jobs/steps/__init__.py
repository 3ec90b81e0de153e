"""The one place where engines are composed: a file a kind of job, each taking a job's context and giving its end."""

from __future__ import annotations

from collections.abc import Callable

from modelnook.domain.event import Finished
from modelnook.domain.recipe import Recipe
from modelnook.jobs.recorder import Recorder
from modelnook.jobs.steps import compare, evaluate, export, finetune, publish, pull, quantize, smaller, tune
from modelnook.jobs.steps.context import Context
from modelnook.store import Store
from modelnook.store.runs import RunFolder

__all__ = ["STEPS", "execute"]

STEPS: dict[str, Callable[[Context], Finished]] = {
    "compare": compare.compare,
    "distil": smaller.smaller,
    "evaluate": evaluate.evaluate,
    "export": export.export,
    "finetune": finetune.finetune,
    "prune": smaller.smaller,
    "publish": publish.publish,
    "pull": pull.pull,
    "quantize": quantize.quantize,
    "shrink": smaller.smaller,
    "trim": smaller.smaller,
    "tune": tune.tune,
}
"""Verb -> what a job of it does."""


def execute(store: Store, run: RunFolder, recipe: Recipe, recorder: Recorder, *, resume: bool) -> Finished:
    """Carry a recipe out; what it gives is the run's end."""
    return STEPS[recipe.verb](Context(store, run, recipe, recorder, resume))
