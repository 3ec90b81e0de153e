"""What plain methods reach on the same rows: a model that doesn't beat them isn't worth its size.

``majority`` always answers with the commonest label of training. ``tfidf`` is logistic regression on TF-IDF weights of
words and pairs of words, or of one to three characters where a script puts no spaces between words. Its time is
bounded: at most 20,000 rows (a seeded sample), 4,000 characters a text, 50,000 features. ``pixels`` and ``spectrum``
are the same on grey thumbnails of images and on the mean spectrum of sounds, of at most 5,000 of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.classic.base import Classic
from modelnook.classic.linear import Linear, log_shares
from modelnook.classic.tfidf import Tfidf
from modelnook.classic.trees import Trees
from modelnook.classic.words import unspaced
from modelnook.domain.dataset import FEATURE
from modelnook.domain.errors import ModelnookError, UnsupportedError
from modelnook.measure.answer_baselines import lexical
from modelnook.measure.features import pixels, spectrum
from modelnook.measure.tag_baselines import lookup, majority_words
from modelnook.measure.text_baselines import cosine, majority_each, mean
from modelnook.tasks.spec import Columns, Spec
from modelnook.tasks.text import as_text

__all__ = ["BASELINES", "baselines", "unspaced"]

MOST_ROWS = 20_000
# One model a label: rows x labels is what their time grows with.
MOST_ROWS_X_LABELS = 200_000
MOST_TABLE_ROWS = 50_000
# Images and sounds are decoded, which takes milliseconds each.
MOST_FILES = 5_000
SEED = 13


def baselines(
    spec: Spec | type[Spec],
    train: Columns | None,
    evaluation: Columns,
    labels: Sequence[str],
    *,
    but: str | None = None,
) -> dict[str, dict[str, float]]:
    """Name -> metrics on the evaluation rows, for each of the task's baselines that can be had.

    Args:
        train: role -> values of the rows to learn from; None: the evaluation rows, by baselines that only count.
        evaluation: role -> values, with targets.
        labels: the names in the order of the model's outputs.
        but: one that is left out, because it is the model that is judged.
    """
    task = spec() if isinstance(spec, type) else spec
    truth = task.truth(evaluation, labels)
    if truth is None or not len(truth):
        return {}
    found = {}
    for row in task.baselines:
        name = row.partition(":")[0]
        outputs = BASELINES[row](task, train, evaluation, labels) if name != but else None
        if outputs is not None:
            found[name] = task.score(truth, outputs, labels)
    return found


def _majority(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    """Log shares of the training labels, one added to each count: the constant guess with the least loss."""
    known = task.truth(train if train is not None else evaluation, labels)
    counts = np.bincount(known, minlength=len(labels)) + 1.0
    return np.tile(np.log(counts / counts.sum()), (len(task.truth(evaluation, labels)), 1))


def _tfidf(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    return _learnt(Tfidf, task, train, evaluation, labels, MOST_ROWS)


def _tfidf_each(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    most = min(MOST_ROWS, MOST_ROWS_X_LABELS // max(1, len(labels)))
    return _learnt(Tfidf, task, train, evaluation, labels, most)


def _trees(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    if train is None:
        return None
    # Rows to judge on may lack a column, or hold a text where there were numbers: what can't be read says nothing.
    there = {role: values for role, values in train.items() if role in evaluation or not role.startswith(FEATURE)}
    try:
        model = Trees.learn(task, there, labels, most=MOST_TABLE_ROWS)
    except (ImportError, UnsupportedError):
        return None
    return None if model is None else model.outputs(task, evaluation, strict=False)


def _learnt(
    kind: type[Classic], task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str], most: int
) -> Any:
    if train is None:
        return None
    try:
        model = kind.learn(task, train, labels, most=most)
    except ImportError:
        return None
    return None if model is None else model.outputs(task, evaluation)


def _pixels(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    return _on_features(task, train, evaluation, labels, pixels)


def _spectrum(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    return _on_features(task, train, evaluation, labels, spectrum)


def _on_features(
    task: Spec,
    train: Columns | None,
    evaluation: Columns,
    labels: Sequence[str],
    features: Callable[[Sequence[Any]], NDArray[np.float32]],
) -> Any:
    if train is None:
        return None
    files, known = train[task.inputs[0]], np.asarray(task.truth(train, labels))
    taken = np.arange(len(files))
    if len(files) > MOST_FILES:
        taken = np.random.default_rng(SEED).choice(len(files), MOST_FILES, replace=False)
    if len(set(known[taken].tolist())) < 2:
        return None
    try:
        from sklearn.preprocessing import StandardScaler

        seen, asked = features([files[i] for i in taken.tolist()]), features(evaluation[task.inputs[0]])
    except (ImportError, ModelnookError, ValueError):
        return None
    scaler = StandardScaler().fit(seen)
    linear, classes = Linear.logistic(scaler.transform(seen), known[taken], strength=0.1)
    return log_shares(linear(scaler.transform(asked)), classes, len(labels))


def _copy(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    """The source itself, which is much of a correction or a summary; it says nothing of a loss."""
    return [(as_text(text), 0.0, 0.0) for text in evaluation["source"]]


Baseline = Callable[[Spec, Columns | None, Columns, Sequence[str]], Any]

BASELINES: dict[str, Baseline] = {
    "copy": _copy,
    "majority": _majority,
    "lexical": lexical,
    "lookup": lookup,
    "majority:each": majority_each,
    "majority:words": majority_words,
    "mean": mean,
    "pixels": _pixels,
    "spectrum": _spectrum,
    "tfidf": _tfidf,
    "tfidf:cosine": cosine,
    "tfidf:each": _tfidf_each,
    "tfidf:ridge": _tfidf,
    "trees": _trees,
}
"""Name -> outputs on the evaluation rows, of the form that the task scores; None where it can't be had.

What stands after a colon is for what kind of target it is; people read what stands before it.
"""
