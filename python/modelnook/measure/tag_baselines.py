"""Baselines for a tag a word: the commonest of all, and the commonest of each word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.tasks.spec import Columns, Spec
from modelnook.tasks.words import as_word

__all__ = ["lookup", "majority_words"]


def majority_words(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    """Log shares of the training tags for every word."""
    known = task.truth(train if train is not None else evaluation, labels)
    shares = np.log(_shares(known, len(labels)))
    return [np.tile(shares, (len(row), 1)) for row in task.truth(evaluation, labels)]


def lookup(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    """Log shares of the tags that each word has in training, the shares of all words counted in as one more.

    A word that training hasn't is given the shares of all.
    """
    if train is None:
        return None
    known = task.truth(train, labels)
    shares = _shares(known, len(labels))
    place: dict[str, int] = {}
    words = [place.setdefault(as_word(word), len(place)) for cell in train["tokens"] for word in cell or ()]
    counts = np.zeros((len(place) + 1, len(labels)), dtype=np.float32)
    np.add.at(counts, (np.array(words, dtype=np.int64), np.concatenate(known)), 1)  # type: ignore[arg-type]
    counts += shares
    logs = np.log(counts / counts.sum(axis=1, keepdims=True))
    asked = ([place.get(as_word(word), len(place)) for word in cell or ()] for cell in evaluation["tokens"])
    return [logs[np.array(row, dtype=np.int64)] for row in asked]


def _shares(known: Sequence[NDArray[np.int64]], tags: int) -> NDArray[np.float64]:
    """The share of each tag, one added to each count so that none is 0."""
    counts = np.bincount(np.concatenate(list(known)), minlength=tags) + 1.0
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares
