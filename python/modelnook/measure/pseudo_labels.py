"""Which of a model's own answers are sure enough to be trained on, and how often such answers are right.

Two unlike models must agree on a row (co-training's idea: Blum and Mitchell 1998), and the first one's probability must
reach a threshold. It is chosen on labelled rows that neither has seen: the one with the highest lower end of the 95%
interval of the share that is right, which weighs how right the rows are against how many of them there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.measure.score import wilson
from modelnook.tasks.classification import softmax

__all__ = ["Sure", "choose", "precision", "sure"]

GRID = (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995)
NONE = 2.0
"""A threshold that no probability reaches."""
SEED = 13


@dataclass(frozen=True, slots=True)
class Sure:
    """Of each row the first model's ``guess``, its probability ``confidence``, and whether both models ``agree``."""

    guess: NDArray[np.int64]
    confidence: NDArray[np.float64]
    agree: NDArray[np.bool_]

    def taken(self, threshold: float) -> NDArray[np.bool_]:
        """The rows that are sure enough."""
        found: NDArray[np.bool_] = self.agree & (self.confidence >= threshold)
        return found


def sure(first: Any, second: Any) -> Sure:
    """What two models' outputs, logits or log probabilities of shape (rows, classes), say together."""
    shares = softmax(np.asarray(first))
    guess = shares.argmax(axis=1)
    return Sure(guess, shares.max(axis=1), guess == np.asarray(second).argmax(axis=1))


def choose(said: Sure, truth: NDArray[Any]) -> float:
    """The threshold for rows whose labels aren't known, from rows whose labels are; the lowest of equally good ones.

    >>> said = Sure(np.zeros(40, int), np.array([0.99] * 20 + [0.6] * 20), np.ones(40, bool))
    >>> choose(said, np.array([0] * 20 + [0, 1] * 10))
    0.7
    """
    best, chosen = 0.0, NONE
    for threshold in GRID:
        taken = said.taken(threshold)
        if not taken.any():
            continue
        low, _ = wilson(int((said.guess[taken] == truth[taken]).sum()), int(taken.sum()))
        if low > best:
            best, chosen = low, threshold
    return chosen


def precision(said: Sure, truth: NDArray[Any]) -> tuple[int, int]:
    """``(right, taken)`` of labelled rows: each half of them by the threshold that the other half chose."""
    order = np.random.default_rng(SEED).permutation(len(truth))
    halves = order[::2], order[1::2]
    right = total = 0
    for chosen_on, counted in (halves, halves[::-1]):
        threshold = choose(_part(said, chosen_on), truth[chosen_on])
        part, known = _part(said, counted), truth[counted]
        taken = part.taken(threshold)
        right += int((part.guess[taken] == known[taken]).sum())
        total += int(taken.sum())
    return right, total


def _part(said: Sure, rows: NDArray[Any]) -> Sure:
    return Sure(said.guess[rows], said.confidence[rows], said.agree[rows])
