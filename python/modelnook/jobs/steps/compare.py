"""Several models on the same rows."""

from __future__ import annotations

from modelnook.domain.event import Finished, Progress
from modelnook.jobs.steps.context import Context, measured
from modelnook.jobs.steps.probing import prober
from modelnook.jobs.steps.seen import trained_on, warn_of_seen

__all__ = ["compare"]


def compare(context: Context) -> Finished:
    """Every model on the same rows, measured in clean processes one after another."""
    from modelnook.evaluate.compare import row_of
    from modelnook.tasks import TASKS

    recipe = context.recipe
    rows = context.measured_on()
    spec = TASKS.load(recipe.task or "", light=True)()
    warn_of_seen(context, spec, rows, [trained_on(context, ref) for ref in recipe.models])
    probe = prober(context)
    table = []
    for at, ref in enumerate(recipe.models):
        context.emit(Progress("measuring", at, len(recipe.models)))
        found = probe(context.fetch(ref), spec.as_rows(rows))
        table.append(row_of(ref, spec, rows, found))
    return Finished(report={"models": table, **measured(context, rows)})
