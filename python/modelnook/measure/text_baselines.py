"""Baselines of tasks on texts whose targets aren't one class: a number, a set of labels, a text that goes with it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.measure.words import MOST_FEATURES, weighed
from modelnook.tasks.base import Columns, Spec
from modelnook.tasks.sentence_similarity import sides

__all__ = ["cosine", "majority_each", "mean", "ridge", "tfidf_each"]

MOST_ROWS = 20_000
# One model a label: rows x labels is what their time grows with.
MOST_ROWS_X_LABELS = 200_000
# A look-up compares every row with every other.
MOST_LOOKED_UP = 5_000
SEED = 13
CERTAIN = 20.0


def mean(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    """The mean of training for every row."""
    known = task.truth(train if train is not None else evaluation, labels)
    return np.full(len(task.truth(evaluation, labels)), float(np.mean(known)))


def ridge(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    """Ridge regression on TF-IDF weights."""
    found = _features(task, train, evaluation, labels, MOST_ROWS)
    if found is None:
        return None
    from sklearn.linear_model import Ridge

    seen, known, asked = found
    return Ridge(alpha=1.0).fit(seen, known).predict(asked)


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


def tfidf_each(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    """Logistic regression on TF-IDF weights for each label by itself."""
    found = _features(task, train, evaluation, labels, min(MOST_ROWS, MOST_ROWS_X_LABELS // max(1, len(labels))))
    if found is None:
        return None
    seen, known, asked = found
    columns = [_logits(seen, known[:, i], asked) for i in range(known.shape[1])]
    return np.stack(columns, axis=1)


def _logits(seen: Any, known: NDArray[Any], asked: Any) -> NDArray[np.float64]:
    from sklearn.linear_model import LogisticRegression

    if known.min() == known.max():
        return np.full(asked.shape[0], CERTAIN if known[0] else -CERTAIN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=10.0, max_iter=100, tol=1e-3).fit(seen, known)
    margins: NDArray[np.float64] = model.decision_function(asked)
    return margins


def _features(
    task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str], most: int
) -> tuple[Any, NDArray[Any], Any] | None:
    """``(training features, targets, features asked for)``, of a seeded sample of ``most`` training rows."""
    if train is None:
        return None
    texts, asked = task.texts(train), task.texts(evaluation)
    if texts is None or asked is None:
        return None
    known = np.asarray(task.truth(train, labels))
    if len(texts) > most:
        taken = np.random.default_rng(SEED).choice(len(texts), most, replace=False)
        texts, known = [texts[i] for i in taken], known[taken]
    made = weighed(texts, asked, features=MOST_FEATURES)
    return None if made is None else (made[0], known, made[1])
