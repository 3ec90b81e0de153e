"""Lower precision: shrink, measure before and after, refuse a drop that is too big."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from modelnook.domain.event import Finished, Warned
from modelnook.jobs.lineage import quantized_base, training_run
from modelnook.jobs.steps.context import Context, Rows
from modelnook.jobs.steps.probing import prober, racer
from modelnook.jobs.steps.seen import trained_on, warn_of_seen
from modelnook.jobs.steps.work import SECONDS, Made, Work
from modelnook.store.runs import seconds
from modelnook.tasks import TASKS

__all__ = ["check_lowered", "lowered", "quantize", "say_of_labels"]

LEAST_SECONDS, OF_BUDGET = 2.0, 1 / 30
"""How long each candidate's speed is measured: at least, and as a share of the budget. It chooses who is timed in turns
at the end; those times decide."""


def quantize(context: Context) -> Finished:
    """Shrink, measure before and after in clean processes, refuse a drop that is too big."""
    from modelnook.quantize.compress import compress

    recipe = context.recipe
    context.phase("loading")
    source = context.fetch(recipe.model)
    rows = _rows(context, source)
    once = quantized_base(context.base())
    if once is not None:
        context.emit(Warned.of("quantize.twice", how=once.ref))
    budget = recipe.knobs.get("budget")
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
        probe=prober(context, min(SECONDS, max(LEAST_SECONDS, (budget or math.inf) * OF_BUDGET))),
        race=racer(context),
        gpu=_gpu(context),
        refused=lambda report: context.recorder.change(report={**report, "data": recipe.knobs.get("measured_on")}),
        budget=budget,
        trained=_trained(context),
    )
    if result.stopped:
        return Finished(stopped=True)
    report = {**result.report, "data": recipe.knobs.get("measured_on")}
    say_of_labels(context, report["rows"], report["labels_used"])
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
    from modelnook.quantize import ways
    from modelnook.quantize.compress import compress

    scheme, _, backend = option.partition(":")
    recorder, gpu = work.context.recorder, _gpu(work.context)
    several = len(ways(backend or "auto", scheme, work.task, gpu=gpu)) > 1
    result = compress(
        source,
        target,
        scheme=scheme,
        backend=backend or "auto",
        task_name=work.task,
        rows=work.columns,
        # Beside the first model, as every step is: what an earlier one has cost is gone.
        judge=work.judge,
        max_drop=work.judge.max_drop,
        emit=work.context.emit,
        stop=work.context.stop,
        probe=lambda path, rows: work.probe(path),
        # What is told of a single one follows from the turns that all steps have at the end.
        race=racer(work.context) if several else None,
        gpu=gpu,
        budget=work.context.recipe.knobs.get("trying_seconds"),
        # Beside what is told of the steps before.
        refused=lambda report: recorder.change(report={**report, **(recorder.record.report or {})}),
    )
    if result.probe is not None:
        # It was measured under another name.
        work.probes[target] = result.probe
    kept = ("backend", "scheme", "options", "attempts", "failed", "spared")
    return {name: result.report[name] for name in kept if name in result.report}


def check_lowered(context: Context, source: Path, option: str, *, trimmed: bool) -> None:
    """Refuse a last step that its only backend can't do, see :meth:`modelnook.quantize.base.Quantizer.check`."""
    from modelnook.quantize import QUANTIZERS, ways

    scheme, _, backend = option.partition(":")
    names = {name for name, _ in ways(backend or "auto", scheme, context.recipe.task, gpu=_gpu(context))}
    if len(names) == 1:
        QUANTIZERS.load(names.pop())().check(source, trimmed=trimmed)


def _gpu(context: Context) -> Callable[[], bool] | None:
    """No GPU, whatever PyTorch sees, for a job that was given none: what runs on one alone couldn't be measured."""
    return (lambda: False) if context.device() == "cpu" else None


def _trained(context: Context) -> float | None:
    """Seconds that the run took which trained the model; None where none did, or nobody knows it any more."""
    run = training_run(context.store, context.recipe.model)
    record = run.record() if run else None
    began, ended = (seconds(record.started), seconds(record.ended)) if record else (None, None)
    return ended - began if began is not None and ended is not None else None


def _rows(context: Context, source: Path) -> Rows:
    """The rows to measure on; without any the model's own texts."""
    from modelnook.measure.own_texts import own_columns

    spec = TASKS.load(context.recipe.task or "", light=True)()
    if context.recipe.data is None:
        return dict(own_columns(spec, source))
    rows = context.measured_on()
    if context.recipe.knobs.get("measured_on") == "data":
        warn_of_seen(context, spec, rows, [trained_on(context, context.recipe.model)])
    return rows


def say_of_labels(context: Context, rows: int, used: bool) -> None:
    """A report without labels says less than one with them: that stands beside it."""
    by_tokens = TASKS.load(context.recipe.task or "", light=True)().scores_texts
    if context.recipe.knobs.get("measured_on") == "own":
        context.emit(Warned.of("quantize.own_tokens" if by_tokens else "quantize.own_texts", n=rows))
    elif not used:
        context.emit(Warned.of("quantize.no_labels_tokens" if by_tokens else "quantize.no_labels", n=rows))
