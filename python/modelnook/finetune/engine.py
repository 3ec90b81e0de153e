"""``fit``: a recipe, a model folder and rows in; a trained model's folder and its validation outputs out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelnook.domain.errors import StoreError, UsageError, unknown
from modelnook.domain.event import Emit, Progress, Started, Warned
from modelnook.domain.recipe import Recipe
from modelnook.finetune import METHODS
from modelnook.finetune.plan import Plan, measure_lengths, plan
from modelnook.tasks import TASKS
from modelnook.training.base import TrainConfig

__all__ = ["FitResult", "fit"]

Columns = dict[str, Sequence[Any]]

PLANNED = ("epochs", "learning_rate", "batch_size", "max_length", "size")


@dataclass(frozen=True, slots=True)
class FitResult:
    """What training gave. The model's folder is complete.

    Attributes:
        path: the folder: config.json, model.safetensors, tokenizer.
        metrics: of the validation rows (of the training loss alone where there are none).
        labels: the names of the outputs' columns.
        outputs: float32 logits of the validation rows in their order, shape (rows, classes), or None.
        truth: int64 targets of those rows, shape (rows,), or None.
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


def fit(
    recipe: Recipe,
    model_path: Path,
    train: Columns,
    evaluation: Columns | None,
    out: Path,
    checkpoints_dir: Path,
    emit: Emit,
    stop: Callable[[], bool] = lambda: False,
    *,
    resume: bool = False,
    on_checkpoint: Callable[[Path], None] | None = None,
) -> FitResult:
    """Fine-tune the model in ``model_path`` as ``recipe`` says and write it to ``out``.

    Args:
        train: role -> values, the roles of the task's spec (text, label).
        evaluation: the same for the validation rows, or None.
        out: the folder to make; it appears complete or not at all.
        resume: go on from the newest checkpoint; without it, old ones are removed.
        on_checkpoint: called with the folder of each complete checkpoint.

    Raises:
        DataError: labels or texts that can't be trained on, a vocabulary that can't read them.
        UnsupportedError: a model that can't do the task, memory that doesn't hold a row.
        StoreError: the disk is full; checkpoints stay, so that ``resume`` can write the model later.
    """
    from modelnook.tasks.pretrained_heavy import parameter_count
    from modelnook.training.checkpoint import Checkpoints
    from modelnook.training.loop import train as run_loop

    name = recipe.task or "text-classification"
    spec = TASKS.load(name, light=True)()
    if not resume:
        shutil.rmtree(checkpoints_dir, ignore_errors=True)
    emit(Progress("loading"))
    labels = spec.labels(train)
    planned = _plan(recipe, model_path, train, len(labels), parameter_count(model_path))
    config = _config(recipe, planned, spec.metrics)
    for warning in planned.warnings:
        emit(warning)
    task = TASKS.load(name)(labels)
    method = _method(recipe, planned.method)
    _seed(recipe.seed)
    model, tokenizer = task.load(str(model_path))
    train_rows = task.encode(tokenizer, train, planned.max_length)
    eval_rows = task.encode(tokenizer, evaluation, planned.max_length) if evaluation is not None else None
    model = method.prepare(model)
    params = {
        **planned.knobs(),
        "method": planned.method,
        "reason": planned.reason,
        "rows": planned.rows,
        "steps": planned.steps,
        "labels": len(labels),
        "precision": config.precision,
    }
    emit(Started(recipe.verb, params))
    checkpoints = Checkpoints(checkpoints_dir, emit=emit, on_saved=on_checkpoint)
    done = run_loop(model, task, tokenizer, train_rows, eval_rows, config, method, emit, stop, checkpoints)
    emit(Progress("saving", step=done.steps, total=planned.steps))
    tokenizer.model_max_length = planned.max_length
    _write(lambda folder: method.save(model, tokenizer, folder), out)
    if not done.stopped:
        checkpoints.clear()
    params |= {"micro_batch": done.micro_batch, "precision": done.precision, "device": done.device}
    return FitResult(
        path=out,
        metrics=done.metrics,
        labels=task.labels,
        outputs=done.eval_outputs,
        truth=spec.truth(evaluation, task.labels) if evaluation is not None else None,
        params=params,
        stopped=done.stopped,
        reason=done.reason,
        steps=done.steps,
        epochs=done.epochs,
        best_step=done.best_step,
        rows_per_s=done.rows_per_s,
        seconds=done.seconds,
        warnings=list(planned.warnings),
    )


def _plan(recipe: Recipe, model_path: Path, train: Columns, classes: int, parameters: int) -> Plan:
    open_knobs = {name: recipe.knobs[name] for name in PLANNED if recipe.knobs.get(name) is not None}
    return plan(
        lengths=measure_lengths(model_path, train["text"]),
        rows=len(train["text"]),
        classes=classes,
        parameters=parameters,
        memory_free=_memory_free(),
        method=recipe.method or "auto",
        **open_knobs,
    )


def _config(recipe: Recipe, planned: Plan, metrics: Sequence[str]) -> TrainConfig:
    """The loop's settings: what was planned, and the recipe's other knobs by the same names."""
    own = {name: value for name, value in recipe.knobs.items() if name in TrainConfig.__dataclass_fields__}
    for name in PLANNED:
        own.pop(name, None)
    metric = recipe.knobs.get("metric")
    if metric is not None and metric not in metrics:
        raise unknown("metric", str(metric), metrics)
    values = {**planned.knobs(), **{k: v for k, v in own.items() if v is not None}}
    values |= {"seed": recipe.seed, "device": recipe.device, "threads": recipe.threads}
    return TrainConfig(**values)


def _method(recipe: Recipe, name: str) -> Any:
    kind = METHODS.load(name)
    return kind(**{k: recipe.knobs[k] for k in kind.options if recipe.knobs.get(k) is not None})


def _seed(seed: int) -> None:
    import torch

    if not 0 <= seed < 2**63:
        raise UsageError("train.bad_number", name="seed", value=seed)
    torch.manual_seed(seed)


def _memory_free() -> int | None:
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)


def _write(save: Callable[[Path], None], out: Path) -> None:
    """Write a folder beside ``out`` and rename it: it is there complete, or not at all."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        save(part)
        if out.exists():
            shutil.rmtree(out)
        part.rename(out)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StoreError("train.not_saved", path=out, error=error) from error
