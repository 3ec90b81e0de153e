"""Which of the rows to measure on a model has seen in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelnook.data.snapshot import load_snapshot
from modelnook.domain.errors import NotFoundError
from modelnook.jobs.steps.context import Context, Rows, take

__all__ = ["trained_on", "warn_of_seen"]


def warn_of_seen(context: Context, spec: Any, rows: Rows, trained: Sequence[Rows | None]) -> None:
    """Say which of a person's rows a model was trained on; its own validation rows never are."""
    from modelnook.data.checks import leaks

    if "validation" in context.run.split():
        return
    found: list[Any] = []
    for one in filter(None, trained):
        # A table's training rows lack the columns that were dropped, or that divided them.
        both = rows.keys() & one.keys() if spec.features else None
        theirs, mine = ({r: part[r] for r in part if both is None or r in both} for part in (one, rows))
        found += leaks(spec.texts(theirs) or (), spec.texts(mine) or (), code="data.seen")
    for warning in dict.fromkeys(found):
        context.emit(warning)


def trained_on(context: Context, model: str) -> Rows | None:
    """The training rows behind a model, found along its lineage; None where they are gone."""
    from modelnook.jobs.lineage import training_run

    run = training_run(context.store, model)
    if run is None:
        return None
    recipe = run.recipe()
    if recipe is None or recipe.data is None:
        return None
    try:
        rows: Rows = dict(load_snapshot(recipe.data, context.store.home))
    except NotFoundError:
        return None
    split = run.split()
    return take(rows, split["train"]) if split.get("train") else rows
