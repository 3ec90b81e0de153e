"""Inputs in, explanations out: the games of many inputs are played side by side, and the model answers in batches."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.classic.trees import LEFT_OUT, Trees
from modelnook.domain.errors import ModelnookError, UnsupportedError, UsageError, unknown
from modelnook.domain.explanation import LOG_ODDS, NUMBER, Explained, Part
from modelnook.explain import EXPLAINERS
from modelnook.explain.base import Game, Question, Shares
from modelnook.explain.room import reads_of
from modelnook.explain.units import Divided, divided
from modelnook.messages import t
from modelnook.runtime import folder
from modelnook.runtime.base import Runtime
from modelnook.tasks import TASKS
from modelnook.tasks.answered import expected
from modelnook.tasks.classification import Classification
from modelnook.tasks.spec import Spec

__all__ = ["check", "choose", "explained", "unit"]

TOGETHER = 32
"""Inputs whose games are played side by side."""
AT_ONCE = 1024
"""Inputs with something left out that are made before they are answered."""
TINY = 1e-15
"""Probabilities are told from 0 and 1 so far."""


def check(spec: Spec, ref: str) -> None:
    """Refuse a task whose answers have no scores of labels and no number, or whose inputs aren't words.

    Raises:
        UnsupportedError: such a task, by name; the hint says which others can be explained.
    """
    if not _can(spec):
        others = [name for name in TASKS if _can(TASKS.load(name, light=True)())]
        raise UnsupportedError("explain.task", ref=ref, task=spec.name, known=", ".join(others))


def _can(spec: Spec) -> bool:
    return bool(spec.targets and {"scores", "value"} & set(spec.predicts)) and not {"audio", "image"} & set(spec.inputs)


def choose(runtime: Runtime, spec: Spec) -> tuple[str, str]:
    """``(method, why)`` for a model."""
    try:
        EXPLAINERS.load("linear").check(runtime, spec)
    except ModelnookError:
        name = "shapley" if spec.features else "occlusion"
    else:
        name = "linear"
    return name, t(f"explain.why.{name}")


def unit(spec: Spec) -> str:
    """What the scores of a task are counted in."""
    return LOG_ODDS if "scores" in spec.predicts else NUMBER


def explained(
    runtime: Runtime, spec: Spec, rows: Sequence[Any], *, method: str, label: str | None, most: int, seed: int
) -> tuple[Explained, ...]:
    """Each row explained, for the label that the model gives it, or for ``label``.

    Raises:
        UsageError: no such method or label, or more columns than ``most`` predictions suffice for.
        UnsupportedError: a model that the method can't explain.
        MissingPackage: what the method needs isn't installed.
        DataError: rows that the model can't read.
    """
    kind = EXPLAINERS.load(method)
    kind.check(runtime, spec)
    known = _columns(runtime) if spec.features else None
    gone = LEFT_OUT if _averages(runtime) else None
    reads = None if spec.features else reads_of(runtime)
    found: list[Explained] = []
    parts = [divided(row, spec, known, reads, gone) for row in rows]
    expected(sum(kind.asks(len(row.units), most) for row in parts))
    answers = runtime.predict(rows)
    for start in range(0, len(rows), TOGETHER):
        part = slice(start, start + TOGETHER)
        questions, scores, others = [], [], []
        for row, answer in zip(parts[part], answers[part], strict=True):
            asked = _label(spec, answer, label)
            value = _value(spec, answer, asked)
            questions.append(Question(runtime, spec, row, asked, value, most, seed))
            scores.append(answer["scores"][asked] if asked is not None else None)
            others.append(_other(answer, asked))
        played = _play([kind().play(question) for question in questions], questions)
        told = map(_told, questions, scores, *zip(*played, strict=True))
        found += (replace(one, likeliest=other) for one, other in zip(told, others, strict=True))
    return tuple(found)


def _label(spec: Spec, answer: dict[str, Any], asked: str | None) -> str | None:
    """The label that is explained: the likeliest, where none is asked for; None where the model says a number."""
    if "scores" not in answer:
        if asked is not None:
            raise UsageError("explain.no_labels", label=asked, task=spec.name)
        return None
    if asked is not None and asked not in answer["scores"]:
        raise unknown("label", asked, answer["scores"])
    scores: dict[str, float] = answer["scores"]
    return asked if asked is not None else max(scores, key=scores.__getitem__)


def _other(answer: dict[str, Any], asked: str | None) -> str | None:
    """What the model itself says where that isn't the explained label: one, several, or None where it says nothing."""
    own = answer.get("label") or []
    said = [own] if isinstance(own, str) else own
    return ", ".join(said) if said and asked not in said else None


def _value(spec: Spec, answer: dict[str, Any], label: str | None) -> float:
    """The number, or the label's log-odds.

    Probabilities lie so near 1 that hardly anything seems to change them; log-odds don't, and what speaks for a label
    independently adds up in them.
    """
    if label is None:
        return float(answer["value"])
    scores = answer["scores"]
    here = scores[label]
    # What is left of 1 has lost its digits where labels share it.
    rest = sum(v for n, v in scores.items() if n != label) if isinstance(spec, Classification) else 1 - here
    return math.log(max(here, TINY)) - math.log(max(rest, TINY))


def _play(games: list[Game], questions: list[Question]) -> list[tuple[Shares, int]]:
    """The shares of each game, and how many predictions it asked for."""
    ended: dict[int, Shares] = {}
    asked: dict[int, NDArray[np.bool_]] = {}
    counts = [1] * len(games)

    def go_on(at: int, answers: Any) -> None:
        try:
            asked[at] = games[at].send(answers)
            counts[at] += len(asked[at])
        except StopIteration as end:
            ended[at] = end.value

    for at in range(len(games)):
        go_on(at, None)
    while asked:
        wanted, asked = asked, {}
        numbers = iter(_answers(wanted, questions))
        for at, masks in wanted.items():
            go_on(at, np.fromiter(numbers, dtype=np.float64, count=len(masks)))
    return [(ended[at], counts[at]) for at in range(len(games))]


def _answers(wanted: dict[int, NDArray[np.bool_]], questions: list[Question]) -> Iterator[float]:
    """The answer to each input with something left out, one after another."""
    flat = [(at, mask) for at, masks in wanted.items() for mask in masks]
    runtime, spec = questions[0].runtime, questions[0].spec
    for start in range(0, len(flat), AT_ONCE):
        part = flat[start : start + AT_ONCE]
        answers = runtime.predict([questions[at].row.keep(mask.tolist()) for at, mask in part])
        yield from (_value(spec, a, questions[at].label) for (at, _), a in zip(part, answers, strict=True))


def _told(question: Question, score: float | None, shares: Shares, predictions: int) -> Explained:
    row, errors = question.row, shares.errors
    parts = tuple(
        _part(row, span, float(score), None if errors is None or math.isnan(errors[at]) else float(errors[at]))
        for at, (span, score) in enumerate(zip(shares.spans, shares.scores, strict=True))
    )
    return Explained(row.given, question.label, score, shares.value, shares.base, parts, predictions, row.unread)


def _part(row: Divided, span: range, score: float, error: float | None) -> Part:
    """A span as it stands in its text."""
    first, last = row.units[span.start], row.units[span.stop - 1]
    token = first.token if len(span) == 1 else row.given[first.column][first.start : last.end]
    return Part(token, score, error, first.column, first.start, last.end)


def _averages(runtime: Runtime) -> bool:
    """Whether a model of tables can answer without a cell, as the mean of what it answered with any."""
    model = getattr(runtime, "model", None)
    return isinstance(model, Trees) and model.averages


def _columns(runtime: Runtime) -> Collection[str] | None:
    """The columns that a model of tables reads; None where it doesn't say."""
    learnt = getattr(runtime, "model", None)
    if isinstance(learnt, Trees):
        return {column.name for column in learnt.columns}
    return folder.learnt(folder.config(runtime.path)).get("features")
