"""Baselines of tasks on texts whose targets aren't one class: a number, a set of labels, a text that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelnook.classic.words import weighed
from modelnook.tasks.sentence_similarity import sides
from modelnook.tasks.spec import Columns, Spec

__all__ = ["cosine", "majority_each", "mean"]

MOST_ROWS = 20_000
# A look-up compares every row with every other.
MOST_LOOKED_UP = 5_000


def mean(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    """The mean of training for every row."""
    known = task.truth(train if train is not None else evaluation, labels)
    return np.full(len(task.truth(evaluation, labels)), float(np.mean(known)))


def cosine(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    """Cosines of TF-IDF weights: of each pair, or of each first text with the second ones of all rows."""
    texts = sides(evaluation)
    if len(texts) < 2 or len(texts[0]) > MOST_LOOKED_UP:
        return None
    known = [text for side in sides(train if train is not None else evaluation) for text in side]
    made = weighed(known[: 2 * MOST_ROWS], texts[0], texts[1])
    if made is None:
        return None
    _, first, second = made
    if np.asarray(task.truth(evaluation, labels)).ndim == 1:
        return np.asarray(first.multiply(second).sum(axis=1)).ravel()
    return (first @ second.T).toarray()


def majority_each(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    """Each label's log odds in training, one added to either count: the constant guess with the least loss."""
    known = np.asarray(task.truth(train if train is not None else evaluation, labels))
    has = known.sum(axis=0) + 1.0
    return np.tile(np.log(has / (len(known) + 2.0 - has)), (len(task.truth(evaluation, labels)), 1))
