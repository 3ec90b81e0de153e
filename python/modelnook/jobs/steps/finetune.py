"""Training: fit, score, add the model."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelnook.domain.event import Finished
from modelnook.jobs.beside import Beside, after_first_step
from modelnook.jobs.steps.context import Context, Rows, parts
from modelnook.jobs.steps.estimating import as_begun, estimating
from modelnook.jobs.steps.rows import check_labels, check_rows

__all__ = ["finetune"]


def finetune(context: Context) -> Finished:
    """Train, score with intervals beside baselines, add the model."""
    recipe, run = context.recipe, context.run
    context.phase("loading")
    source = context.fetch(recipe.model) if recipe.model else None
    train, evaluation = parts(context)
    beside = after_first_step(context.recorder, lambda: check_rows(context))
    result, told = _fitted(context, source, train, evaluation)
    if recipe.model:
        from modelnook.training.memory import give_back

        give_back()
    context.phase("scoring")
    metrics, intervals, bases = _scores(context, result, train, evaluation)
    context.phase("checking")
    beside.finish()
    if not result.stopped:
        Beside(lambda: check_labels(context, result.labels)).finish()
    context.phase("saving")
    info = replace(
        context.lineage(result.path),
        task=recipe.task,
        labels=tuple(result.labels),
        metrics=metrics,
        language=context.base().language if recipe.model else _language(recipe.task, train),
    )
    ref = context.add(result.path, recipe.name, info)
    if not result.stopped:
        for path in (run.checkpoints, run.rounds):
            shutil.rmtree(path, ignore_errors=True)
    return Finished(metrics, intervals, bases, str(ref), told, stopped=result.stopped)


def _fitted(context: Context, source: Path | None, train: Rows, evaluation: Rows) -> tuple[Any, dict[str, Any] | None]:
    """The training's result, and what a report says of it."""
    from modelnook.finetune.engine import fit
    from modelnook.jobs.together import Together

    run = context.run
    if context.recipe.unlabelled is not None:
        from modelnook.jobs.steps.unlabelled import fit_with_unlabelled, report

        result, found = fit_with_unlabelled(context, source, train, evaluation)
        return result, report(found)
    with Together(context) as together:
        result = fit(
            as_begun(context),
            source,
            train,
            evaluation,
            out=run.path / "model",
            checkpoints_dir=run.checkpoints,
            emit=context.emit,
            stop=context.stop,
            resume=context.resume,
            on_checkpoint=lambda path: context.recorder.mirror.checkpoint(run.id, path),
            gather=together.gather,
            estimate=estimating(context),
        )
    return result, None


def _scores(context: Context, result: Any, train: Rows, evaluation: Rows) -> Any:
    """``(metrics, intervals, baselines)``. Imported late: nothing of it may delay the first step."""
    from modelnook.measure.baselines import baselines
    from modelnook.measure.score import score
    from modelnook.tasks import TASKS

    spec = TASKS.load(context.recipe.task or "", light=True)()
    metrics, intervals = score(spec, result.truth, result.outputs, result.labels)
    others = baselines(spec, train, evaluation, result.labels, but=context.recipe.method)
    return metrics, intervals, {**result.baselines, **others}


def _language(task: str | None, train: Rows) -> tuple[str, ...]:
    """Of a model without a base: Chinese, where its rows tell."""
    from modelnook.data.checks import cjk_share
    from modelnook.tasks import TASKS

    texts = TASKS.load(task or "", light=True)().texts(train)
    return ("zh",) if texts and cjk_share(texts) > 0.5 else ()
