"""A smaller vocabulary, as a step."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Warned
from modelnook.jobs.steps.work import Made, Work
from modelnook.measure.judge import Verdict
from modelnook.measure.score import agreement

__all__ = ["trim"]

MUCH = 0.01
"""The share of cut occurrences above which it is said."""

FELT = 0.001
"""A drop on texts of tomorrow that is worth a word."""

COVERAGES = (0.98, 0.96, 0.94, 0.92, 0.9)
"""What ``fewest`` tries: the part of all occurrences that the tokens make up which stay."""

NOTHING = 0.005
"""The share of answers that may change where fewer tokens cost next to nothing. Not the drop: of many tries one has a
small one by luck, as errors make up for each other (on clinc150 0.3 points of the validation rows, 1.1 of others)."""


def trim(work: Work, source: Path, target: Path, option: str) -> Made:
    """Cut the vocabulary to what the person's rows use, to ``option`` tokens, or to the ``fewest`` that cost nothing.

    Raises:
        RefusedError: rows whose tokens weren't looked at fall too far.
    """
    from modelnook.shrink.trim import trim as cut

    how, unseen = _fewest(work, source, target) if option == "fewest" else _as_asked(work, source, target, option)
    told = _told(work, unseen)
    done = cut(source, target, task=work.task, rows=work.whole, emit=work.context.emit, **how)
    for code, share in (("shrink.cut_tokens", done.cut), ("shrink.moved_tokens", done.moved)):
        if share > MUCH:
            work.context.emit(Warned.of(code, percent=f"{100 * share:.1f}", tokens=done.after))
    counts = {"before": {"tokens": done.before}, "after": {"tokens": done.after}}
    return {**counts, "used_tokens": done.used, "near_tokens": done.near, **told}


def _as_asked(work: Work, source: Path, target: Path, option: str) -> tuple[dict[str, Any], Verdict | None]:
    """How to cut, and how the rows that are measured on fare as those of tomorrow's texts."""
    how = {"most": int(option)} if option.isdigit() else {}
    return how, _on_new_texts(work, source, target, how)[0] if work.train else None


def _fewest(work: Work, source: Path, target: Path) -> tuple[dict[str, Any], Verdict | None]:
    """The same with as few tokens as the measured rows bear: rarer ones go while next to nothing is lost."""
    taken: tuple[dict[str, Any], Verdict | None] = ({}, None)
    for coverage in (1.0, *COVERAGES) if work.train else COVERAGES:
        if work.context.stop():
            break
        try:
            verdict, changed = _on_new_texts(work, source, target, {"coverage": coverage})
        except UnsupportedError as error:
            # Where nearly all tokens occur only the rarer ones can go.
            if error.code != "shrink.nothing_to_trim":
                raise
            continue
        if coverage < 1 and (changed > NOTHING or not verdict.accepted):
            break
        taken = {"coverage": coverage}, verdict
    return taken


def _on_new_texts(work: Work, source: Path, target: Path, how: dict[str, Any]) -> tuple[Verdict, float]:
    """How the rows that are measured on fare where their own tokens aren't looked at, as those of tomorrow's texts,
    and the share of them that is answered otherwise than by the first model.

    With their tokens among those that stay they can't fall at all, which says nothing of new texts. Where there are no
    others it is the rare ones that go.
    """
    from modelnook.runtime import runtime as load
    from modelnook.shrink.trim import trim as cut

    shown = [part for part in (work.train, work.unlabelled) if part] if work.train else work.whole
    trial = target.with_name(f"{target.name}.trial")
    cut(source, trial, task=work.task, rows=shown, emit=work.context.emit, **how)
    model = load(trial, task=work.task, device=work.context.recorder.record.device or "cpu")
    answered = work.answered(model.outputs(work.rows), model.labels)
    model.close()
    shutil.rmtree(trial, ignore_errors=True)
    changed = 1 - agreement(work.spec, work.before.outputs, answered.outputs)[0]
    return work.judge(answered), changed


def _told(work: Work, unseen: Verdict | None) -> Made:
    """What the report says of tomorrow's texts.

    Raises:
        RefusedError: they fall too far.
    """
    if unseen is None:
        return {}
    if not unseen.accepted:
        raise work.refusal("trim", unseen)
    if unseen.drop >= FELT:
        points = f"{100 * unseen.drop:.1f}"
        work.context.emit(Warned.of("shrink.new_texts", metric=work.judge.metric, points=points, rows=work.judge.rows))
    return {"unseen": {"value": unseen.value, "drop": unseen.drop, "drop_interval": unseen.interval}}
