"""Lower precision: shrink, measure before and after, refuse a drop that is too big."""

from __future__ import annotations

from dataclasses import replace

from modelnook.domain.event import Finished
from modelnook.jobs.steps.context import Context
from modelnook.jobs.steps.probing import prober

__all__ = ["quantize"]


def quantize(context: Context) -> Finished:
    """Shrink, measure before and after in clean processes, refuse a drop that is too big."""
    from modelnook.quantize.compress import compress

    recipe = context.recipe
    context.phase("loading")
    source = context.fetch(recipe.model)
    rows = context.measured_on()
    out = context.run.path / "model"
    result = compress(
        source,
        out,
        scheme=recipe.knobs["to"],
        backend=recipe.knobs["backend"],
        task_name=recipe.task or "",
        rows=rows,
        max_drop=recipe.knobs["max_drop"],
        metric=context.recorder.record.primary_metric,
        emit=context.emit,
        stop=context.stop,
        probe=prober(context),
    )
    if result.stopped:
        return Finished(stopped=True)
    report = {**result.report, "data": recipe.knobs.get("measured_on")}
    base = context.base()
    info = replace(
        context.lineage(out),
        task=recipe.task,
        labels=base.labels,
        metrics=report["after"]["metrics"],
        language=base.language,
        parameters=base.parameters,
    )
    ref = context.add(out, recipe.name, info)
    return Finished(report["after"]["metrics"], report["after"].get("intervals") or {}, {}, str(ref), report)
