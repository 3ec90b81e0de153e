"""Training: fit, score, add the model."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

from modelnook.domain.dataset import Columns
from modelnook.domain.event import Finished
from modelnook.jobs.beside import after_first_step
from modelnook.jobs.steps.context import Context, Rows, parts

__all__ = ["finetune"]


def finetune(context: Context) -> Finished:
    """Train, score with intervals beside baselines, add the model."""
    from modelnook.finetune.engine import fit

    recipe, run = context.recipe, context.run
    context.phase("loading")
    source = context.fetch(recipe.model)
    train, evaluation = parts(context)
    after_first_step(context.recorder, lambda: _check_data(context))
    out = run.path / "model"
    result = fit(
        recipe,
        source,
        train,
        evaluation,
        out=out,
        checkpoints_dir=run.checkpoints,
        emit=context.emit,
        stop=context.stop,
        resume=context.resume,
        on_checkpoint=lambda path: context.recorder.mirror.checkpoint(run.id, path),
    )
    context.phase("scoring")
    metrics, intervals, bases = _scores(context, result, train, evaluation)
    context.phase("saving")
    info = replace(
        context.lineage(out),
        task=recipe.task,
        labels=tuple(result.labels),
        metrics=metrics,
        language=context.base().language,
    )
    ref = context.add(out, recipe.name, info)
    if not result.stopped:
        shutil.rmtree(run.checkpoints, ignore_errors=True)
    return Finished(metrics, intervals, bases, str(ref), stopped=result.stopped)


def _scores(context: Context, result: Any, train: Rows, evaluation: Rows) -> Any:
    """``(metrics, intervals, baselines)``. Imported late: nothing of it may delay the first step."""
    from modelnook.measure.baselines import baselines
    from modelnook.measure.score import score
    from modelnook.tasks import TASKS

    spec = TASKS.load(context.recipe.task or "", light=True)()
    metrics, intervals = score(spec, result.truth, result.outputs, result.labels)
    return metrics, intervals, {**result.baselines, **baselines(spec, train, evaluation, result.labels)}


def _check_data(context: Context) -> None:
    """Say what a person should know of their rows."""
    from modelnook.data.checks import checks
    from modelnook.data.snapshot import open_snapshot
    from modelnook.tasks import TASKS

    data = context.recipe.data
    if data is None:
        return
    split = context.run.split()
    rows = open_snapshot(data, context.store.home)
    columns = Columns.of(**{role: role for role in data.columns})
    spec = TASKS.load(context.recipe.task or "", light=True)()
    texts = spec.texts({role: rows.column(role) for role in data.columns})
    if texts is not None:
        for warning in checks(rows, columns, split.get("train"), split.get("validation"), texts=texts):
            context.emit(warning)
