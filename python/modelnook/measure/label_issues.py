"""Rows whose label a quick model contradicts that never saw them: candidates of a wrong label.

Confident learning (Northcutt, Jiang and Chuang 2021, arXiv:1911.00068): each row's class probabilities come from a
model of the other rows (cross-validation, TF-IDF and logistic regression). A class is claimed where its probability is
at least the mean that rows with this label have; a row is an issue where the likeliest class claimed isn't its label.
It must be contradicted clearly besides, so that near classes don't fill the list.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.classic.base import sample
from modelnook.classic.tfidf import Tfidf, kind_of
from modelnook.classic.words import MOST_CHARS, Words
from modelnook.tasks.spec import Columns, Spec

__all__ = ["LabelIssue", "LabelIssues", "confident", "label_issues"]

FOLDS = 3
LEAST_ROWS = 60
"""Fewer rows say nothing with confidence."""
LEAST_RIGHT = 0.7
"""A model that is right about fewer rows than this contradicts nobody."""
CLEARLY = 10.0
"""So many times likelier than the label given must the other one be."""
FEATURES = 20_000
MOST_ROWS = 10_000
MOST_CHARS_IN_ALL = 6_000_000
MOST_CELLS = 300_000
"""Rows x classes: what the time of the regression grows with."""


@dataclass(frozen=True, slots=True)
class LabelIssue:
    """``row`` is its position; ``confidence`` the probability of the label ``suggested`` for it."""

    row: int
    label: str
    suggested: str
    confidence: float


@dataclass(frozen=True, slots=True)
class LabelIssues:
    """The issues, the most doubtful first, among ``rows`` that were looked at."""

    rows: int
    items: tuple[LabelIssue, ...]


def label_issues(spec: Spec, columns: Columns, labels: Sequence[str]) -> LabelIssues | None:
    """Candidates of wrong labels; None where they can't be told: another kind of task, too few rows, texts whose words
    say little of their labels.

    Bounded: of many or long texts a seeded sample is looked at.

    Args:
        columns: role -> values, with labels.
        labels: the names in the order of the task's targets.

    Raises:
        ImportError: scikit-learn isn't installed.
    """
    if not any(name.partition(":")[0] == Tfidf.name for name in spec.baselines) or kind_of(spec) != "one":
        return None
    texts = spec.texts(columns)
    if texts is None or len(texts) < LEAST_ROWS:
        return None
    known = np.asarray(spec.truth(columns, labels))
    taken = np.sort(sample(len(texts), _most(texts, len(labels))))
    taken = taken[_frequent(known[taken])]
    if len(taken) < LEAST_ROWS or len(set(known[taken].tolist())) < 2:
        return None
    made = Words.learn([texts[i] for i in taken.tolist()], FEATURES)
    if made is None:
        return None
    classes, given = np.unique(known[taken], return_inverse=True)
    shares = _out_of_sample(made[1], given)
    if (shares.argmax(axis=1) == given).mean() < LEAST_RIGHT:
        return None
    suggested, found = confident(shares, given)
    order = found[np.argsort(shares[found, given[found]] - shares[found, suggested[found]], kind="stable")]
    items = tuple(
        LabelIssue(
            int(taken[i]), labels[classes[given[i]]], labels[classes[suggested[i]]], float(shares[i, suggested[i]])
        )
        for i in order.tolist()
    )
    return LabelIssues(len(taken), items)


def confident(shares: NDArray[Any], given: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """``(the likeliest class claimed for each row, the rows that are issues)``.

    Args:
        shares: probabilities that each row's class has, from models that never saw the row; shape (rows, classes).
        given: the labels, shape (rows,); each class occurs.

    >>> shares = np.array([[0.9, 0.1]] * 4 + [[0.2, 0.8]] * 4 + [[0.05, 0.95]])
    >>> confident(shares, np.array([0, 0, 0, 0, 1, 1, 1, 1, 0]))[1].tolist()
    [8]
    """
    rows = np.arange(len(given))
    usual = np.array([shares[given == c, c].mean() for c in range(shares.shape[1])])
    claimed = np.where(shares >= usual, shares, -1.0)
    suggested: NDArray[np.int64] = claimed.argmax(axis=1)
    issue = (claimed.max(axis=1) > 0) & (suggested != given)
    issue &= shares[rows, suggested] >= CLEARLY * shares[rows, given]
    return suggested, np.flatnonzero(issue)


def _most(texts: Sequence[str], classes: int) -> int:
    step = max(1, len(texts) // 2000)
    mean = np.mean([min(len(text), MOST_CHARS) for text in texts[::step]]) or 1.0
    return int(min(MOST_ROWS, MOST_CHARS_IN_ALL // max(mean, 1.0), MOST_CELLS // max(1, classes)))


def _frequent(known: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows have a label that every fold can hold."""
    counts = np.bincount(known)
    found: NDArray[np.bool_] = counts[known] >= FOLDS
    return found


def _out_of_sample(features: Any, given: NDArray[Any]) -> NDArray[np.float64]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    model = LogisticRegression(C=10.0, max_iter=50, tol=1e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares: NDArray[np.float64] = cross_val_predict(model, features, given, cv=folds, method="predict_proba")
    return shares
