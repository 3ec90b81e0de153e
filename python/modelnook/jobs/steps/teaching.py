"""Training a smaller model on what a larger one says: the composition that ``distil`` and ``prune`` share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelnook.domain.errors import UnsupportedError
from modelnook.jobs.steps.context import Rows
from modelnook.jobs.steps.work import Work
from modelnook.shrink import TAUGHT

__all__ = ["teach"]


def teach(work: Work, teacher: Path, start: Path, target: Path, knobs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Train the model in ``start`` on what ``teacher`` says of the training and the unlabelled rows.

    Args:
        target: gets the trained model's folder.
        knobs: of training, and ``temperature`` and ``soft``.

    Returns:
        what was resolved; None where the person stopped it: its checkpoints stay.

    Raises:
        UnsupportedError: a task whose outputs can't be learnt so.
    """
    import numpy as np

    from modelnook.finetune.distil import Distil
    from modelnook.finetune.engine import fit
    from modelnook.runtime import runtime as load

    context, spec = work.context, work.spec
    if spec.name not in TAUGHT:
        raise UnsupportedError("shrink.not_taught", task=spec.name, known=", ".join(TAUGHT))
    assert work.train is not None
    context.phase("teaching")
    runtime = load(teacher, task=spec.name, device=context.recorder.record.device or "cpu")
    # Of a table's columns the unlabelled rows have those that the teacher reads.
    inputs = [role for role in work.train if role not in spec.targets and role in (work.unlabelled or work.train)]
    labelled = len(next(iter(work.train.values())))
    said = runtime.outputs(spec.as_rows({role: work.train[role] for role in inputs}))
    rows = {role: values for role, values in work.train.items() if role in (*inputs, *spec.targets)}
    known = [True] * labelled
    if work.unlabelled:
        more, answers = _answered(runtime, spec, work.unlabelled, inputs)
        rows = {role: [*values, *more[role]] for role, values in rows.items()}
        known += [False] * len(answers)
        said = np.concatenate([said, answers])
    labels = list(runtime.labels)
    runtime.close()
    method = Distil(said, labels, known, knobs.get("temperature", 2.0), knobs.get("soft", 0.7))
    recipe = replace(context.recipe, method="full", knobs={**knobs, "metric": context.recorder.record.primary_metric})
    done = fit(
        recipe,
        start,
        rows,
        work.chosen_on,
        target,
        context.run.checkpoints,
        context.emit,
        context.stop,
        resume=context.resume,
        on_checkpoint=lambda path: context.recorder.mirror.checkpoint(context.run.id, path),
        method=method,
        labels=labels,
    )
    return None if done.stopped else {"epochs": done.epochs, "steps": done.steps, "taught_rows": len(known)}


def _answered(runtime: Any, spec: Any, unlabelled: Rows, inputs: list[str]) -> tuple[Rows, Any]:
    """Unlabelled rows with the teacher's answers in the place of labels, so that they fit a table; and its outputs.

    The answers stand there for the plan and the encoding alone: the loss knows which labels are real.
    """
    columns = {role: list(unlabelled[role]) for role in inputs}
    rows = spec.as_rows(columns)
    outputs = runtime.outputs(rows)
    answers = spec.answers(outputs, runtime.labels, rows)
    column = "value" if "value" in spec.predicts else "label"
    return {**columns, spec.targets[0]: [answer[column] for answer in answers]}, outputs
