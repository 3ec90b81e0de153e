"""What plain methods reach on the same rows: a model that doesn't beat them isn't worth its size.

``majority`` always answers with the commonest label of training. ``tfidf`` is logistic regression on TF-IDF weights of
words and pairs of words, or of one to three characters where a script puts no spaces between words. Its time is
bounded: at most 20,000 rows (a seeded sample), 4,000 characters a text, 50,000 features.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.tasks.base import Columns, Spec
from modelnook.tasks.text import as_text

__all__ = ["BASELINES", "baselines", "unspaced"]

MOST_ROWS = 20_000
MOST_CHARS = 4_000
MOST_FEATURES = 50_000
# With many classes each iteration costs classes x features: fewer of either keep it within seconds.
MANY_CLASSES = 50
SEED = 13

# Chinese, Japanese, Thai, Lao, Burmese and Khmer are written without spaces; Korean isn't.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


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
            found[name] = task.score(truth, outputs, labels)
    return found


def unspaced(texts: Sequence[str], share: float = 0.2) -> bool:
    """Whether a good part of the characters belongs to a script without spaces between words.

    >>> unspaced(["房间很干净，服务也好"]), unspaced(["a clean room"])
    (True, False)
    """
    sample = "".join(text[:500] for text in texts[:500])
    return len(_UNSPACED.findall(sample)) > share * max(len(sample), 1)


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
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        return None
    if len(texts) > MOST_ROWS:
        taken = np.random.default_rng(SEED).choice(len(texts), MOST_ROWS, replace=False)
        texts, known = [texts[i] for i in taken], known[taken]
    shape: dict[str, Any] = {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}
    if unspaced(texts):
        shape = {"ngram_range": (1, 3), "analyzer": "char"}
    many = classes > MANY_CLASSES
    words = TfidfVectorizer(
        sublinear_tf=True, max_features=MOST_FEATURES // (4 if many else 1), dtype=np.float32, **shape
    )
    try:
        seen = words.fit_transform([x[:MOST_CHARS] for x in texts])
    except ValueError:
        # Not one word in all of the texts.
        return None
    model = LogisticRegression(C=10.0, max_iter=50 if many else 200, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(seen, known)
        guessed = model.predict_log_proba(words.transform([as_text(x)[:MOST_CHARS] for x in asked]))
    # Classes that training never saw get a probability that is all but none.
    outputs = np.full((len(asked), classes), np.log(1e-9))
    outputs[:, model.classes_] = np.maximum(guessed, np.log(1e-9))
    return outputs


Baseline = Callable[[Spec, Columns | None, Columns, Sequence[str]], Any]

BASELINES: dict[str, Baseline] = {"majority": _majority, "tfidf": _tfidf}
"""Name -> outputs on the evaluation rows, of the form that the task scores; None where it can't be had."""
