"""Scoring one model."""

from __future__ import annotations

from modelnook.domain.dataset import SLICE
from modelnook.domain.event import Finished
from modelnook.jobs.steps.context import Context, measured
from modelnook.jobs.steps.seen import trained_on, warn_of_seen

__all__ = ["evaluate"]


def evaluate(context: Context) -> Finished:
    """Score a model on rows, beside the baselines of the run that made it."""
    from modelnook.evaluate.report import evaluate as report
    from modelnook.runtime import runtime as load
    from modelnook.tasks import TASKS

    recipe = context.recipe
    context.phase("loading")
    runtime = load(context.fetch(recipe.model), task=recipe.task, device=context.device())
    rows = context.measured_on()
    spec = TASKS.load(recipe.task or "", light=True)()
    trained = trained_on(context, recipe.model)
    warn_of_seen(context, spec, rows, [trained])
    context.phase("evaluating")
    outputs = runtime.outputs(spec.as_rows(rows))
    context.phase("scoring")
    sliced = {role.removeprefix(SLICE): values for role, values in rows.items() if role.startswith(SLICE)}
    wanted = recipe.knobs.get("metrics")
    itself = getattr(runtime, "method", None)
    found = report(spec, outputs, rows, runtime.labels, train=trained, metrics=wanted, sliced=sliced, but=itself)
    runtime.close()
    tables = {name: table.to_dict() for name, table in found.tables.items()}
    return Finished(found.metrics, found.intervals, found.baselines, report={**tables, **measured(context, rows)})
