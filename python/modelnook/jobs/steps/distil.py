"""A smaller student, as a step."""

from __future__ import annotations

from pathlib import Path

from modelnook.domain.errors import NotFoundError
from modelnook.jobs.steps.teaching import teach
from modelnook.jobs.steps.work import Made, Work

__all__ = ["distil"]


def distil(work: Work, source: Path, target: Path, option: str) -> Made:
    """Teach a student: ``layers:N`` of the teacher's own (half of them for ``auto``), or the model ``option`` names."""
    context = work.context
    if work.train is None:
        raise NotFoundError("shrink.no_training_rows", step="distil")
    told: Made = {}
    kind, _, number = option.partition(":")
    if option in ("", "auto") or kind == "layers":
        from modelnook.shrink.layers import student

        start = target.with_name(f"{target.name}.start")
        layers = int(number) if number else None
        before, after = student(source, start, task=work.task, layers=layers, step="distil")
        told = {"before": {"layers": before}, "after": {"layers": after}}
    else:
        start = context.fetch(option)
    done = teach(work, source, start, target, context.recipe.knobs)
    return {**told, **(done or {}), "student": option or "auto"}
