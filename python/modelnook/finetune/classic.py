"""Methods without a base model: what stands beside a model as its baseline, kept as the model itself."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelnook.convert.folder import staged
from modelnook.domain.errors import DataError
from modelnook.domain.event import Emit, MetricLogged, Progress, Started
from modelnook.domain.knobs import OWNERS
from modelnook.domain.recipe import Recipe
from modelnook.finetune import METHODS
from modelnook.finetune.engine import FitResult
from modelnook.finetune.plan import KNOBS, Plan
from modelnook.finetune.ready import Columns, joined
from modelnook.measure.memory import free
from modelnook.messages import t
from modelnook.tasks import TASKS

__all__ = ["IGNORED", "fit_classic", "plan_classic"]

IGNORED = (*KNOBS, *OWNERS, "max_seconds", "precision", "processes")
"""Knobs of the loop, which these methods don't have."""


def plan_classic(method: str, columns: Mapping[str, Sequence[Any]]) -> Plan:
    """A plan of which only the rows have to be said: no steps, nothing cut off, little memory."""
    return Plan(
        method=method,
        reason=t("train.reason_alone", method=method),
        epochs=0.0,
        learning_rate=0.0,
        batch_size=0,
        max_length=0,
        warmup=0.0,
        weight_decay=0.0,
        patience=0,
        rows=len(next(iter(columns.values()))),
        steps=0,
        tokens_lost=0.0,
        memory=0,
        memory_free=free(),
    )


def fit_classic(recipe: Recipe, train: Columns, evaluation: Columns | None, out: Path, emit: Emit) -> FitResult:
    """Learn from all training rows and write the model to ``out``; see :func:`modelnook.finetune.engine.fit`.

    It takes seconds, and nothing of it is of use before its end: a request to stop comes too late.

    Raises:
        DataError: rows that hold nothing to learn from.
        StoreError: the disk is full.
    """
    from modelnook.classic.base import write

    name, method = recipe.task or "", recipe.method or ""
    spec = TASKS.load(name, light=True)()
    whole = train if evaluation is None or recipe.eval_data is not None else joined(train, evaluation)
    labels = spec.labels(whole)
    truth = spec.truth(evaluation, labels) if evaluation is not None else None
    rows = len(next(iter(train.values())))
    params = {"method": method, "reason": t("train.reason_alone", method=method), "rows": rows, "labels": len(labels)}
    emit(Started(recipe.verb, params))
    emit(Progress("training"))
    began = time.monotonic()
    kind: Any = METHODS.load(method)
    model = kind.learn(spec, train, labels)
    if model is None:
        raise DataError("train.nothing_to_learn", method=method)
    seconds = time.monotonic() - began
    emit(Progress("evaluating"))
    outputs = model.outputs(spec, evaluation) if evaluation is not None else None
    metrics = spec.score(truth, outputs, labels) if truth is not None else {}
    emit(MetricLogged(1, {f"eval_{metric}": value for metric, value in metrics.items()}))
    emit(Progress("saving"))
    with staged(out, "train.not_saved") as folder:
        write(model, folder, task=name, labels=labels)
    return FitResult(
        path=out,
        metrics=metrics,
        labels=labels,
        outputs=outputs,
        truth=truth,
        params={**params, "device": "cpu"},
        stopped=False,
        reason="finished",
        steps=1,
        epochs=1.0,
        best_step=None,
        rows_per_s=rows / max(seconds, 1e-9),
        seconds=seconds,
    )
