"""A smaller vocabulary, as a step."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelnook.domain.event import Warned
from modelnook.jobs.steps.work import Made, Work

__all__ = ["trim"]

MUCH = 0.01
"""The share of cut occurrences above which it is said."""

FELT = 0.001
"""A drop on texts of tomorrow that is worth a word."""


def trim(work: Work, source: Path, target: Path, option: str) -> Made:
    """Cut the vocabulary to what the person's rows use, or to ``option`` tokens.

    Raises:
        RefusedError: rows whose tokens weren't looked at fall too far.
    """
    from modelnook.shrink.trim import trim as cut

    most = int(option) if option.isdigit() else None
    unseen = _on_new_texts(work, source, target, most)
    done = cut(source, target, task=work.task, rows=work.whole, most=most, emit=work.context.emit)
    for code, share in (("shrink.cut_tokens", done.cut), ("shrink.moved_tokens", done.moved)):
        if share > MUCH:
            work.context.emit(Warned.of(code, percent=f"{100 * share:.1f}", tokens=done.after))
    counts = {"before": {"tokens": done.before}, "after": {"tokens": done.after}}
    return {**counts, "used_tokens": done.used, "near_tokens": done.near, **unseen}


def _on_new_texts(work: Work, source: Path, target: Path, most: int | None) -> dict[str, Any]:
    """How the rows that are measured on fare where their own tokens aren't looked at, as those of tomorrow's texts.

    With their tokens among those that stay they can't fall at all, which says nothing of new texts.
    """
    from modelnook.runtime import runtime as load
    from modelnook.shrink.trim import trim as cut

    shown = [part for part in (work.train, work.unlabelled) if part]
    if not work.train:
        return {}
    trial = target.with_name(f"{target.name}.trial")
    cut(source, trial, task=work.task, rows=shown, most=most, emit=work.context.emit)
    model = load(trial, task=work.task, device=work.context.recorder.record.device or "cpu")
    verdict = work.judge(replace(work.before, outputs=model.outputs(work.rows)))
    model.close()
    shutil.rmtree(trial, ignore_errors=True)
    if not verdict.accepted:
        raise work.refusal("trim", verdict)
    if verdict.drop >= FELT:
        points = f"{100 * verdict.drop:.1f}"
        work.context.emit(Warned.of("shrink.new_texts", metric=work.judge.metric, points=points, rows=work.judge.rows))
    return {"unseen": {"value": verdict.value, "drop": verdict.drop, "drop_interval": verdict.interval}}
