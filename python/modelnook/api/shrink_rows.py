"""Which rows a model that is to become smaller is taught on, trimmed by and measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from modelnook.api.parts import divided
from modelnook.api.reading import Read, features_of, read_table, spec_of
from modelnook.api.rows import columns_of, done_by, needs_network, no_rows
from modelnook.api.shrink_steps import check_quantized
from modelnook.api.unlabelled import read_more
from modelnook.domain.dataset import Split
from modelnook.domain.errors import UnsupportedError
from modelnook.domain.model import ModelInfo
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import AGREEMENT
from modelnook.settings import current
from modelnook.shrink import TAUGHT
from modelnook.store import Store
from modelnook.tasks.spec import Spec

__all__ = ["on_rows_of"]


def on_rows_of(
    verb: str,
    store: Store,
    ref: str,
    steps: Sequence[str],
    data: Any,
    unlabelled: Any,
    given: dict[str, str],
    *,
    teaches: bool,
    seed: int,
) -> tuple[Recipe, dict[str, list[int]] | None, str]:
    """The recipe, which rows of its data are for what, and the primary metric.

    Given rows are measured on, or, where something is taught, divided into rows to teach and to measure on; without
    them the rows are those of the run that made the model, divided as they were then; where there is none and
    no step needs a person's, texts of the model's own card and vocabulary.
    """
    from modelnook.catalog.search import resolve
    from modelnook.jobs.lineage import training_run

    found = resolve(ref)
    entry = found.source.info(found.ref)
    check_quantized(ref, entry, steps[0])
    task = done_by(entry)
    if task is None:
        raise UnsupportedError("api.no_task", ref=ref)
    needs_network(verb, ref, entry)
    if teaches and task not in TAUGHT:
        raise UnsupportedError("shrink.not_taught", task=task, known=", ".join(TAUGHT))
    spec = spec_of(task)
    recipe = Recipe(verb, str(found.ref), task=task, name=entry.name, threads=current().threads)
    trained = training_run(store, str(found.ref))
    record, made = (trained.record(), trained.recipe()) if trained else (None, None)
    primary = (record.primary_metric if record else None) or spec.metrics[0]
    parts = None
    kinds = {step.partition(":")[0] for step in steps}
    if data is not None:
        known = given or (columns_of(trained, data) if trained else {})
        table = read_table(store, data, spec, known, asked=not teaches, features=features_of(spec, entry))
        primary = _checked(spec, entry, table, primary)
        if teaches:
            spec.check(table.values())
            parts = divided(table, table.rows, Split(), seed)
        recipe = replace(recipe, data=table.ref, knobs={"measured_on": "validation" if teaches else "data"})
    elif trained is not None and made is not None:
        recipe = replace(recipe, data=made.data, eval_data=made.eval_data, knobs={"measured_on": "validation"})
        parts = None if made.eval_data else trained.split()
    elif kinds & {"distil", "trim"}:
        # What learns, or looks at which tokens are used, needs rows of the person's.
        raise no_rows(entry, ref)
    else:
        recipe, primary = replace(recipe, knobs={"measured_on": "own"}), AGREEMENT
    if unlabelled is not None:
        before = made.data.columns if made and made.data else {}
        # What is left by prune is retrained on the rows that made the model, whatever it is measured on.
        labelled = recipe.data.columns if teaches and recipe.data else before
        learns = labelled if kinds & {"distil", "prune"} and task in TAUGHT else None
        extra = read_more(store, unlabelled, spec, given or before, learns or None, features_of(spec, entry))
        recipe = replace(recipe, unlabelled=extra)
    return recipe, parts, primary


def _checked(spec: Spec, entry: ModelInfo, table: Read, primary: str) -> str:
    """The metric that decides on given rows, once all of them can be read."""
    roles, values = table.columns.to_dict(), table.values()
    spec.check_inputs(values)
    if not any(all(role in roles for role in form) for form in spec.shapes()):
        return primary
    if entry.labels:
        # What the job would find after it has loaded the weights.
        spec.truth(values, entry.labels)
    told = spec.metrics_for(values)
    return primary if primary in told else told[0]
