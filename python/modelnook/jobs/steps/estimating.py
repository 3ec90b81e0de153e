"""What a training run is going to take, by the place where it runs; and what a resumed one keeps of its plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from modelnook.domain.recipe import Recipe
from modelnook.finetune.estimate import estimated, with_unlabelled
from modelnook.finetune.plan import Plan
from modelnook.jobs.steps.context import Context

__all__ = ["as_begun", "estimating"]


def as_begun(context: Context) -> Recipe:
    """The recipe; of a run that goes on, with the method that it began with: memory and pace may have changed."""
    method = context.recorder.record.params.get("method")
    return replace(context.recipe, method=str(method)) if context.resume and method else context.recipe


def estimating(context: Context) -> Callable[[Plan], Plan]:
    """Adds to a plan what this place knows of time and disk."""
    recipe = context.recipe

    def told(planned: Plan) -> Plan:
        budget = recipe.knobs.get("max_seconds")
        found = estimated(planned, context.store, recipe.model, budget)
        found = with_unlabelled(found, recipe.unlabelled.rows, budget) if recipe.unlabelled is not None else found
        return replace(found, track=recipe.track)

    return told
