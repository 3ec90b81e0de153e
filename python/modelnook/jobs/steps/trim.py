"""A smaller vocabulary, as a step."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Warned
from modelnook.domain.run import AGREEMENT, amount
from modelnook.jobs.steps.context import Rows, take
from modelnook.jobs.steps.work import Made, Work
from modelnook.measure.judge import Verdict
from modelnook.measure.probe import Probe
from modelnook.tasks.base import in_order

__all__ = ["trim"]

MUCH = 0.01
"""The share of cut occurrences above which it is said."""

FELT = 0.001
"""A drop on texts of tomorrow that is worth a word."""

BY_TOKENS = ("loss", "perplexity")
"""Metrics of tasks in ``WRITES`` that fall by themselves where there are fewer tokens to choose from."""

COVERAGES = (0.98, 0.96, 0.94, 0.92, 0.9)
"""What ``fewest`` tries, see :func:`last_that`: the part of all occurrences that the tokens make up which stay."""

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
    told |= _limited(work, source, target, done.after)
    return {**counts, "used_tokens": done.used, "near_tokens": done.near, **told}


def _limited(work: Work, source: Path, target: Path, tokens: int) -> Made:
    """What the first model is beside whose answers this and later steps are judged, where it isn't as it was; what an
    earlier step made of it, which stands beside the result in the report, is told in the same way.
    """
    outputs = _outputs_limited(work, work.first, target, work.columns)
    if outputs is None:
        return {}
    was, now = work.judge.value, work.judge.against(replace(work.before, outputs=outputs)).value
    if work.judge.metric in BY_TOKENS:
        values = {"metric": work.judge.metric, "was": f"{was:.3f}", "now": f"{now:.3f}"}
        work.context.emit(Warned.of("shrink.limited", tokens=tokens, **values))
    told = {"limited": _listed(outputs)}
    if source != work.first:
        told["source_limited"] = _listed(_outputs_limited(work, source, target, work.columns))
    return told


def _listed(outputs: Any) -> Any:
    return outputs.tolist() if hasattr(outputs, "tolist") else outputs


def _outputs_limited(work: Work, model: Path, trimmed: Path, columns: Rows) -> Any:
    """See :func:`modelnook.shrink.limited.limited`; None where the metric doesn't depend on the number of tokens."""
    from modelnook.shrink.limited import limited

    if work.judge.metric not in (*BY_TOKENS, AGREEMENT):
        return None
    device = _device(work)
    return limited(model, trimmed, task=work.task, columns=columns, device=device)


def _device(work: Work) -> str:
    return work.context.recorder.record.device or "cpu"


def _as_asked(work: Work, source: Path, target: Path, option: str) -> tuple[dict[str, Any], Verdict]:
    """How to cut, and how the rows that are measured on fare as those of tomorrow's texts."""
    how = {"most": int(option)} if option.isdigit() else {}
    return how, _on_new_texts(work, source, target, how)[0]


def _fewest(work: Work, source: Path, target: Path) -> tuple[dict[str, Any], Verdict | None]:
    """The same with as few tokens as the measured rows bear: rarer ones go while next to nothing is lost."""
    found: dict[float, Verdict] = {}

    def bears(coverage: float) -> bool:
        if work.context.stop():
            return False
        try:
            verdict, changed = _on_new_texts(work, source, target, {"coverage": coverage})
        except UnsupportedError as error:
            # Where nearly all tokens occur only the rarer ones can go.
            if error.code != "shrink.nothing_to_trim":
                raise
            return True
        if coverage < 1 and (changed > NOTHING or not verdict.accepted):
            return False
        found[coverage] = verdict
        return True

    last_that(bears, COVERAGES)
    if not found:
        bears(1.0)
    least = min(found, default=None)
    return ({}, None) if least is None else ({"coverage": least}, found[least])


def last_that(bears: Callable[[float], bool], values: Sequence[float]) -> float | None:
    """The last of ``values`` that ``bears``, where all before one that does do: by halves, as each try costs much.

    >>> tried = []
    >>> last_that(lambda value: not tried.append(value) and value > 0.93, (0.98, 0.96, 0.94, 0.92, 0.9)), tried
    (0.94, [0.94, 0.9, 0.92])
    """
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if bears(values[middle]) else (low, middle)
    return values[low - 1] if low else None


def _on_new_texts(work: Work, source: Path, target: Path, how: dict[str, Any]) -> tuple[Verdict, float]:
    """How the rows that are measured on fare where their own tokens aren't looked at, as those of tomorrow's texts,
    and the share of them that is answered otherwise than by the first model.

    With their tokens among those that stay they can't fall at all, which says nothing of new texts. Where there are no
    training rows each half of them is measured with the tokens of the other.
    """
    parts = [work.columns] if work.train else _halves(work.columns)
    found, limited = [], []
    for at, part in enumerate(parts):
        shown = [work.train] if work.train else [other for place, other in enumerate(parts) if place != at]
        # Texts without labels are often taken from the same place as those that are measured on.
        shown += [_without(work.unlabelled, part)] if work.unlabelled else []
        answered, outputs = _trial(work, source, target, part, [rows for rows in shown if rows], how)
        found.append(answered)
        limited.append(outputs)
    answered = replace(found[0], outputs=_together([one.outputs for one in found]))
    if limited[0] is not None:
        work = work.limited(_together(limited))
    same = work.spec.agree(work.before.outputs, work.spec.beside(work.before.outputs, answered.outputs))
    return work.judge(answered), 1 - float(same.mean())


def _without(rows: Rows, others: Rows) -> Rows:
    """Those of ``rows`` that aren't among the others, by the columns that both have; nothing where all are."""
    shared = [role for role in rows if role in others]
    if not shared:
        return rows
    known = {repr(row) for row in zip(*(others[role] for role in shared), strict=True)}
    mine = [repr(row) for row in zip(*(rows[role] for role in shared), strict=True)]
    left = [at for at, row in enumerate(mine) if row not in known]
    return take(rows, left) if left else {}


def _halves(rows: Rows) -> list[Rows]:
    """Every second row, and the others; one part where there is one row."""
    count = len(next(iter(rows.values())))
    return [take(rows, list(range(start, count, 2))) for start in range(min(2, count))]


def _together(halves: list[Any]) -> Any:
    """Outputs of :func:`_halves` in the order of the rows."""
    count = sum(map(len, halves))
    return in_order([(range(at, count, len(halves)), outputs) for at, outputs in enumerate(halves)], count)


def _trial(
    work: Work, source: Path, target: Path, columns: Rows, shown: list[Rows], how: dict[str, Any]
) -> tuple[Probe, Any]:
    """What a model with the tokens of ``shown`` says of rows, and what the first one does with these tokens."""
    from modelnook.runtime import runtime as load
    from modelnook.shrink.trim import trim as cut

    trial = target.with_name(f"{target.name}.trial")
    cut(source, trial, task=work.task, rows=shown, emit=work.context.emit, **how)
    model = load(trial, task=work.task, device=_device(work))
    answered = work.answered(model.outputs(work.spec.as_rows(columns)), model.labels)
    model.close()
    limited = _outputs_limited(work, work.first, trial, columns)
    shutil.rmtree(trial, ignore_errors=True)
    return answered, limited


def _told(work: Work, unseen: Verdict | None) -> Made:
    """What the report says of tomorrow's texts.

    Raises:
        RefusedError: they fall too far.
    """
    if unseen is None:
        return {}
    # Half of the rows shows half of their tokens: that is told, but a writer that can't read them is ruined.
    if not unseen.accepted and (work.train or work.judge.metric in BY_TOKENS):
        raise work.judge.refusal("shrink.refused_words", "shrink.refused_few", unseen, step="trim")
    if unseen.drop >= FELT:
        points = amount(work.judge.metric, unseen.drop)
        work.context.emit(Warned.of("shrink.new_texts", metric=work.judge.metric, points=points, rows=work.judge.rows))
    return {"unseen": {"value": unseen.value, "drop": unseen.drop, "drop_interval": unseen.interval}}
