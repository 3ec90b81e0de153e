"""Lower precision: shrink, measure before and after, refuse a drop that is too big."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from modelnook.domain.event import Finished
from modelnook.jobs.steps.context import Context
from modelnook.jobs.steps.probing import prober
from modelnook.jobs.steps.work import Made, Work

__all__ = ["lowered", "quantize"]


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


def lowered(work: Work, source: Path, target: Path, option: str) -> Made:
    """Lower precision as a step of a chain: ``option`` is ``SCHEME`` or ``SCHEME:BACKEND``."""
    from modelnook.quantize.compress import compress

    scheme, _, backend = option.partition(":")
    spent = work.judged(source).drop
    result = compress(
        source,
        target,
        scheme=scheme,
        backend=backend or "auto",
        task_name=work.task,
        rows=work.columns,
        # What an earlier step has cost is gone.
        max_drop=max(0.0, work.judge.max_drop - spent),
        metric=work.context.recorder.record.primary_metric,
        emit=work.context.emit,
        stop=work.context.stop,
        probe=lambda path, rows: work.probe(path),
    )
    if target.is_dir():
        # It was measured under another name.
        figures = [result.report["after"][name] for name in ("bytes", "p50_ms", "rows_per_s")]
        same = (p for p in work.probes.values() if [p.bytes, p.p50_ms, p.rows_per_s] == figures)
        measured = next(same, None)
        if measured is not None:
            work.probes[target] = measured
    kept = ("backend", "scheme", "options", "attempts")
    return {name: result.report[name] for name in kept if name in result.report}
