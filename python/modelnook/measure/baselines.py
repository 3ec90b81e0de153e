"""What plain methods reach on the same rows: a model that doesn't beat them isn't worth its size.

``majority`` always answers with the commonest label of training. ``tfidf`` is logistic regression on TF-IDF weights of
words and pairs of words, or of one to three characters where a script puts no spaces between words. Its time is
bounded: at most 20,000 rows (a seeded sample), 4,000 characters a text, 50,000 features. ``pixels`` and ``spectrum``
are the same on grey thumbnails of images and on the mean spectrum of sounds, of at most 5,000 of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.domain.errors import ModelnookError
from modelnook.measure.answer_baselines import lexical
from modelnook.measure.features import pixels, spectrum
from modelnook.measure.table_baselines import trees
from modelnook.measure.tag_baselines import lookup, majority_words
from modelnook.measure.text_baselines import cosine, majority_each, mean, ridge, tfidf_each
from modelnook.measure.words import MOST_FEATURES, unspaced, weighed
from modelnook.tasks.base import Columns, Spec
from modelnook.tasks.text import as_text

__all__ = ["BASELINES", "baselines", "unspaced"]

MOST_ROWS = 20_000
# Images and sounds are decoded, which takes milliseconds each.
MOST_FILES = 5_000
# With many classes each iteration costs classes x features: fewer of either keep it within seconds.
MANY_CLASSES = 50
SEED = 13


def baselines(
    spec: Spec | type[Spec], train: Columns | None, evaluation: Columns, labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Name -> metrics on the evaluation rows, for each of the task's baselines that can be had.

    Args:
        train: role -> values of the rows to learn from; None: the evaluation rows, by baselines that only count.
        evaluation: role -> values, with targets.
        labels: the names in the order of the model's outputs.
    """
    task = spec() if isinstance(spec, type) else spec
    truth = task.truth(evaluation, labels)
    if truth is None or not len(truth):
        return {}
    found = {}
    for name in task.baselines:
        outputs = BASELINES[name](task, train, evaluation, labels)
        if outputs is not None:
            found[name.partition(":")[0]] = task.score(truth, outputs, labels)
    return found


def _majority(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    """Log shares of the training labels, one added to each count: the constant guess with the least loss."""
    known = task.truth(train if train is not None else evaluation, labels)
    counts = np.bincount(known, minlength=len(labels)) + 1.0
    return np.tile(np.log(counts / counts.sum()), (len(task.truth(evaluation, labels)), 1))


def _tfidf(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    if train is None:
        return None
    texts, asked = task.texts(train), task.texts(evaluation)
    known = np.asarray(task.truth(train, labels))
    if texts is None or asked is None or len(set(known.tolist())) < 2:
        return None
    return _regression(texts, known, asked, len(labels))


def _regression(
    texts: list[str], known: NDArray[Any], asked: Sequence[Any], classes: int
) -> NDArray[np.float64] | None:
    if len(texts) > MOST_ROWS:
        taken = np.random.default_rng(SEED).choice(len(texts), MOST_ROWS, replace=False)
        texts, known = [texts[i] for i in taken], known[taken]
    found = weighed(texts, asked, features=MOST_FEATURES // (4 if classes > MANY_CLASSES else 1))
    if found is None:
        # Not one word in all of the texts, or no scikit-learn.
        return None
    return _logistic(found[0], known, found[1], classes, strength=10.0)


def _logistic(seen: Any, known: NDArray[Any], asked: Any, classes: int, *, strength: float) -> NDArray[np.float64]:
    """Log probabilities of shape (rows asked, classes) by logistic regression; ``strength`` is the inverse of its
    regularisation."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=50 if classes > MANY_CLASSES else 200, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(seen, known)
        guessed = model.predict_log_proba(asked)
    # Classes that training never saw get a probability that is all but none.
    outputs = np.full((asked.shape[0], classes), np.log(1e-9))
    outputs[:, model.classes_] = np.maximum(guessed, np.log(1e-9))
    return outputs


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
    return _logistic(scaler.transform(seen), known[taken], scaler.transform(asked), len(labels), strength=0.1)


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
    "tfidf:each": tfidf_each,
    "tfidf:ridge": ridge,
    "trees": trees,
}
"""Name -> outputs on the evaluation rows, of the form that the task scores; None where it can't be had.

What stands after a colon is for what kind of target it is; people read what stands before it.
"""
