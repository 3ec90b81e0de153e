"""Which rows without a label are given one, by which of two unlike models, and how often such labels are right.

The labels are those of the model that is better on labelled rows that neither has seen. Where that is the first one,
which is trained anew with them, the second must agree (co-training's idea: Blum and Mitchell 1998): from its own errors
alone a model learns to repeat them (Arazo et al. 2020). Where it is the second, what it says is news to the first, and
their agreement is asked only where that is worth more.

A threshold of the teacher's probability weighs how right the labels are against how many there are. Of rows of which
a share ``e`` is wrong, learning needs 1 / (1 - 2e)^2 times as many as of clean ones (Angluin and Laird 1988), by which
tri-training chooses as well (Zhou and Li 2005). So rows are worth their number times (1 - 2e)^2. With more classes than
two the bracket is how far the share that is right has come from chance to certain, which for two is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.measure.score import wilson
from modelnook.tasks.classification import softmax

__all__ = ["Rule", "Said", "choose", "precision", "worth"]

GRID = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995)
SEED = 13


@dataclass(frozen=True, slots=True)
class Rule:
    """Who gives the labels, ``first`` or ``second``, whether the other must ``agree``, and the least probability."""

    teacher: str
    agree: bool
    threshold: float


@dataclass(frozen=True, slots=True)
class Said:
    """What two models say of the same rows: probabilities of shape (rows, classes)."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]

    @classmethod
    def of(cls, first: Any, second: Any) -> Said:
        """From outputs: logits or log probabilities."""
        return cls(softmax(np.asarray(first)), softmax(np.asarray(second)))

    def part(self, rows: NDArray[Any]) -> Said:
        """Some of the rows."""
        return Said(self.first[rows], self.second[rows])

    def labels(self, rule: Rule) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The teacher's label of each row, and which rows are taken."""
        shares, other = (self.first, self.second) if rule.teacher == "first" else (self.second, self.first)
        guess = shares.argmax(axis=1)
        taken = shares.max(axis=1) >= rule.threshold
        return guess, taken & (guess == other.argmax(axis=1)) if rule.agree else taken


def worth(right: int, taken: int, classes: int) -> float:
    """How many rows with clean labels so many are worth, the share that is right at the low end of its 95% interval.

    >>> [round(worth(right, 100, 2)) for right in (100, 80, 50)]
    [86, 18, 0]
    """
    if not taken:
        return 0.0
    low, _ = wilson(right, taken)
    return taken * max(0.0, (low - 1 / classes) / (1 - 1 / classes)) ** 2


def choose(said: Said, truth: NDArray[Any]) -> Rule | None:
    """The rule for rows whose labels aren't known, from rows whose labels are; None where no label is worth a thing.

    Of equally good ones the first teacher's, and the lowest threshold.

    >>> first = np.array([[0.99, 0.01]] * 20 + [[0.6, 0.4]] * 20)
    >>> choose(Said(first, first), np.array([0] * 20 + [0, 1] * 10))
    Rule(teacher='first', agree=True, threshold=0.7)
    """
    if not len(truth):
        return None
    first, second = ((shares.argmax(axis=1) == truth).mean() for shares in (said.first, said.second))
    kinds = (("second", False), ("second", True)) if second > first else (("first", True),)
    best, chosen = 0.0, None
    for teacher, agree in kinds:
        for threshold in GRID:
            rule = Rule(teacher, agree, threshold)
            found = worth(*_right(said, truth, rule), said.first.shape[1])
            if found > best:
                best, chosen = found, rule
    return chosen


def precision(said: Said, truth: NDArray[Any]) -> tuple[int, int]:
    """``(right, taken)`` of labelled rows: each half of them by the rule that the other half chose."""
    order = np.random.default_rng(SEED).permutation(len(truth))
    halves = order[::2], order[1::2]
    right = total = 0
    for chosen_on, counted in (halves, halves[::-1]):
        rule = choose(said.part(chosen_on), truth[chosen_on])
        if rule is not None:
            hits, taken = _right(said.part(counted), truth[counted], rule)
            right, total = right + hits, total + taken
    return right, total


def _right(said: Said, truth: NDArray[Any], rule: Rule) -> tuple[int, int]:
    guess, taken = said.labels(rule)
    return int((guess[taken] == truth[taken]).sum()), int(taken.sum())
