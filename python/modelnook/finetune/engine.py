"""``fit``: a recipe, a model folder and rows in; a trained model's folder and its validation outputs out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelnook.convert.folder import staged
from modelnook.domain.errors import UsageError
from modelnook.domain.event import Emit, Progress, Started, Warned
from modelnook.domain.recipe import Recipe
from modelnook.finetune import alone
from modelnook.finetune.base import Method
from modelnook.finetune.lengths import lengths_for
from modelnook.finetune.plan import Plan, plan_for
from modelnook.finetune.ready import Columns, Ready, make_ready
from modelnook.finetune.shared import Shared
from modelnook.runtime import folder
from modelnook.tasks import TASKS
from modelnook.tasks.dense import carry
from modelnook.tasks.pooling import KEEPERS, kept
from modelnook.training.base import Place, TrainResult

__all__ = ["Columns", "FitResult", "assist", "fit"]


@dataclass(frozen=True, slots=True)
class FitResult:
    """What training gave. The model's folder is complete.

    Attributes:
        path: the folder: config.json, model.safetensors, tokenizer; not made where ``keep`` said no.
        metrics: of the validation rows (of the training loss alone where there are none).
        labels: the names of the outputs' columns.
        outputs: of the validation rows in their order, see :mod:`modelnook.tasks.base`; None without such rows.
        truth: their encoded targets, or None.
        baselines: ``untrained``: what the base model reaches on them, where it came with its head.
        params: what was resolved, as ``Started`` said it.
        stopped: whether the person ended it; ``reason`` is ``finished``, ``stopped``, ``patience`` or ``budget``.
    """

    path: Path
    metrics: dict[str, float]
    labels: list[str]
    outputs: Any
    truth: Any
    params: dict[str, Any]
    stopped: bool
    reason: str
    steps: int
    epochs: float
    best_step: int | None
    rows_per_s: float
    seconds: float
    warnings: list[Warned] = field(default_factory=list)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)


def fit(
    recipe: Recipe,
    model_path: Path | None,
    train: Columns,
    evaluation: Columns | None,
    out: Path,
    checkpoints_dir: Path | None,
    emit: Emit,
    stop: Callable[[], bool] = lambda: False,
    *,
    keep: Callable[[dict[str, float]], bool] = lambda metrics: True,
    resume: bool = False,
    on_checkpoint: Callable[[Path], None] | None = None,
    shared: Shared | None = None,
    method: Method | None = None,
    labels: Sequence[str] | None = None,
    gather: Callable[[Plan, int], Place | None] = lambda planned, count: None,
    estimate: Callable[[Plan], Plan] | None = None,
) -> FitResult:
    """Fine-tune the model in ``model_path`` as ``recipe`` says and write it to ``out``.

    A method that needs no base model doesn't look at ``model_path``, and keeps no checkpoints.

    Args:
        train: role -> values, the roles of the task's spec (text, label).
        evaluation: the same for the validation rows, or None.
        out: the folder to make; it appears complete or not at all.
        checkpoints_dir: None writes none: the best weights stay in memory.
        keep: whether a model of these validation metrics is written at all.
        resume: go on from the newest checkpoint; without it, old ones are removed.
        on_checkpoint: called with the folder of each complete checkpoint.
        shared: what earlier runs on the same rows have computed; this one takes from it, and adds to it.
        method: trains in place of the recipe's.
        labels: the names of the outputs' columns, where the rows don't decide them.
        gather: starts the processes that :func:`assist`, where several are to train: called with the plan and how many
            there are in all, gives this one's place. Without it this one trains alone.
        estimate: adds to the plan what a run's place knows of time and disk; given for a training that is a run of its
            own: that one says what it is going to take, a budget of time is part of what chooses its method, and its
            checkpoints are the caller's to remove.

    Raises:
        DataError: labels or texts that can't be trained on, a vocabulary that can't read them.
        UnsupportedError: a model that can't do the task, memory that doesn't hold a row.
        UsageError: more processes than there are GPUs.
        StoreError: the disk is full; checkpoints stay, so that ``resume`` can write the model later.
    """
    if method is None and alone(recipe.method):
        from modelnook.finetune.classic import fit_classic

        return fit_classic(recipe, train, evaluation, out, emit)
    from modelnook.training.checkpoint import Checkpoints

    assert model_path is not None, "a base model"
    if checkpoints_dir is not None and not resume:
        shutil.rmtree(checkpoints_dir, ignore_errors=True)
    emit(Progress("loading"))
    spec = TASKS.load(recipe.task or "", light=True)()
    shared = shared or Shared()
    lengths = shared.once(("lengths", model_path), lambda: lengths_for(spec, model_path, train))
    planned = plan_for(
        spec,
        model_path,
        train,
        method=recipe.method or "auto",
        knobs=recipe.knobs,
        lengths=lengths,
        held_out=len(next(iter(evaluation.values()))) if evaluation else 0,
        timed=estimate is not None,
        base=recipe.model,
    )
    for warning in planned.warnings:
        emit(warning)
    count = _processes(recipe, planned)
    place = gather(planned, count) if count > 1 else None
    ready = make_ready(recipe, model_path, train, evaluation, planned, place, shared, method, labels)
    params = _resolved(ready, place)
    emit(Started(recipe.verb, params, estimate(planned).to_dict() if estimate else None))
    checkpoints = None if checkpoints_dir is None else Checkpoints(checkpoints_dir, emit=emit, on_saved=on_checkpoint)
    untrained = {}
    if not ready.task.new_head or (method is None and _comes_trained(ready, model_path)):
        untrained = shared.once(("untrained", model_path, planned.max_length), lambda: _untrained(ready, emit))
    done, task, eval_rows = _trained(ready, emit, stop, checkpoints, place)
    outputs, metrics = _scored(ready, done, task, eval_rows, emit)
    if keep(metrics):
        emit(Progress("saving", step=done.steps, total=planned.steps))
        _save(ready, task, model_path, None if lengths.whole else lengths.limit, out)
    # Those of a run of its own stay until it is scored and stored: what is killed before goes on from there.
    if checkpoints is not None and not done.stopped and estimate is None:
        checkpoints.clear()
    params |= {"micro_batch": done.micro_batch, "precision": done.precision, "device": done.device}
    return FitResult(
        path=out,
        metrics=metrics,
        labels=task.labels,
        outputs=outputs,
        truth=ready.truth,
        params=params,
        stopped=done.stopped,
        reason=done.reason,
        steps=done.steps,
        epochs=done.epochs,
        best_step=done.best_step,
        rows_per_s=done.rows_per_s,
        seconds=done.seconds,
        warnings=list(planned.warnings),
        baselines=untrained,
    )


def assist(
    recipe: Recipe,
    model_path: Path,
    train: Columns,
    evaluation: Columns | None,
    checkpoints_dir: Path,
    planned: Plan,
    place: Place,
) -> None:
    """Take part in the training of a :func:`fit` in another process, to its end; writes and says nothing.

    Args:
        planned: what that one planned.
        place: this process's; that of ``fit`` is the first.
    """
    from modelnook.training.checkpoint import Checkpoints

    ready = make_ready(recipe, model_path, train, evaluation, planned, place, Shared())
    checkpoints = Checkpoints(checkpoints_dir, emit=lambda event: None)
    _trained(ready, lambda event: None, lambda: False, checkpoints, place)


def _scored(
    ready: Ready, done: TrainResult, task: Any, rows: dict[str, list[Any]] | None, emit: Emit
) -> tuple[Any, dict[str, float]]:
    """``(outputs on the validation rows, metrics)`` of the trained model."""
    from modelnook.training.evaluation import outputs_of

    outputs = done.eval_outputs
    if rows is None:
        return outputs, done.metrics
    if outputs is None:
        emit(Progress("evaluating", step=done.steps, total=ready.planned.steps))
        tokens = ready.planned.checks
        outputs = outputs_of(ready.model, task, ready.processor, rows, device=ready.device, tokens=tokens)
    if not task.checks_by_loss:
        return outputs, done.metrics
    # In mid-training a model that writes is told by its loss; what it writes is what it is chosen by.
    return outputs, {**done.metrics, **ready.spec.score(ready.truth, outputs, task.labels)}


def _save(ready: Ready, task: Any, base: Path, limit: int | None, out: Path) -> None:
    task.set_length(ready.processor, ready.planned.max_length)
    config = ready.model.config
    config.modelnook_task = ready.spec.name
    if limit is not None:
        config.modelnook_limit = limit
    learnt = kept(ready.spec.name, base) | task.learnt
    if learnt:
        config.modelnook_learnt = learnt
    elif hasattr(config, "modelnook_learnt"):
        # The base's, of another table.
        del config.modelnook_learnt
    with staged(out, "train.not_saved") as made:
        ready.method.save(ready.model, ready.processor, made)
        if ready.spec.name in KEEPERS:
            carry(base, made)


def _resolved(ready: Ready, place: Place | None) -> dict[str, Any]:
    """What a run's record says of how it is trained."""
    planned = ready.planned
    found = {
        **planned.knobs(),
        "method": planned.method,
        "reason": planned.reason,
        "rows": planned.rows,
        "steps": planned.steps,
        "labels": len(ready.task.labels),
        "precision": ready.config.precision,
    }
    return found if place is None else {**found, "processes": place.count}


def _trained(
    ready: Ready, emit: Emit, stop: Callable[[], bool], checkpoints: Any, place: Place | None
) -> tuple[TrainResult, Any, dict[str, list[Any]] | None]:
    """``(how it went, the task, the validation rows)``, both as the method frames them."""
    from modelnook.training.loop import train as run_loop

    model, processor, device = ready.model, ready.processor, ready.device
    framed = ready.method.frame(model, ready.task, processor, ready.train, ready.evaluation, device, emit)
    with _meeting(place, device) as ranks:
        done = run_loop(
            model,
            framed.task,
            processor,
            framed.train,
            framed.evaluation,
            ready.config,
            ready.method,
            emit,
            stop,
            checkpoints,
            truth=ready.truth,
            ranks=ranks,
        )
    return done, framed.task, framed.evaluation


def _meeting(place: Place | None, device: Any) -> AbstractContextManager[Any]:
    """The other processes; nothing of accelerate is imported where there are none."""
    if place is None:
        return nullcontext()
    from modelnook.training.ranks import joined

    return joined(place, device)


def _processes(recipe: Recipe, planned: Plan) -> int:
    """How many are to train: as many as were asked for, else one a GPU; no more than a batch has rows.

    What ``head`` trains is so little that a second process would wait more than it computes.

    Raises:
        UsageError: more than there are GPUs.
    """
    import torch

    from modelnook.training.device import pick_device

    asked = recipe.knobs.get("processes")
    gpus = torch.cuda.device_count() if pick_device(recipe.device).type == "cuda" else 0
    if asked is not None and gpus and int(asked) > gpus:
        raise UsageError("train.few_gpus", asked=asked, gpus=gpus)
    several = gpus if recipe.device in ("auto", "cuda") and planned.method != "head" else 1
    return min(int(asked) if asked is not None else several, planned.batch_size)


def _comes_trained(ready: Ready, base: Path) -> bool:
    """Whether the base was trained for the task and these labels already, and its head is kept as it is."""
    task, said = ready.task, folder.config(base)
    same = not task.labels or sorted(folder.labels(said)) == sorted(task.labels)
    trained = folder.task_of(said) == ready.spec.name and folder.learnt(said) == task.learnt
    return same and trained and not getattr(ready.model, "made_anew", True)


def _untrained(ready: Ready, emit: Emit) -> dict[str, dict[str, float]]:
    """The baseline that a base model with a head of its own is: all metrics, or those by loss where it writes long."""
    from modelnook.training.evaluation import outputs_of

    task, rows, device = ready.task, ready.evaluation, ready.device
    if rows is None:
        return {}
    emit(Progress("baselines"))
    by_loss, tokens = task.checks_by_loss, ready.planned.checks
    model = ready.model.to(device)
    outputs = outputs_of(model, task, ready.processor, rows, device=device, check=by_loss, tokens=tokens)
    found = task.check_score(outputs) if by_loss else task.spec().score(ready.truth, outputs, task.labels)
    return {"untrained": found}
