"""What plain methods reach on the same rows: a model that doesn't beat them isn't worth its size.

``majority`` always answers with the commonest label of training. ``tfidf`` is logistic regression on TF-IDF weights of
words and pairs of words, or of one to three characters where a script puts no spaces between words. Its time is
bounded: at most 20,000 rows (a seeded sample), 4,000 characters a text, 50,000 features.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.tasks.base import Spec
from modelnook.tasks.text import as_text

__all__ = ["baselines", "unspaced"]

MOST_ROWS = 20_000
MOST_CHARS = 4_000
MOST_FEATURES = 50_000
# With many classes each iteration costs classes x features: fewer of either keep it within seconds.
MANY_CLASSES = 50
SEED = 13

# Chinese, Japanese, Thai, Lao, Burmese and Khmer are written without spaces; Korean isn't.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")

Columns = Mapping[str, Sequence[Any]]


def baselines(
    spec: Spec | type[Spec], train: Columns | None, evaluation: Columns, labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """``{"majority": metrics, "tfidf": metrics}`` on the evaluation rows, learnt from the training rows.

    Args:
        train: role -> values (text, label); None: the majority is that of the evaluation rows, and there is no tfidf.
        evaluation: role -> values, with labels.
        labels: the names in the order of the model's outputs.

    Returns:
        An empty dict where there are no evaluation rows; no ``tfidf`` without scikit-learn or a word to learn from.
    """
    task = spec() if isinstance(spec, type) else spec
    truth = np.asarray(task.truth(dict(evaluation), labels))
    if not len(truth):
        return {}
    learnt = train if train is not None and len(train["label"]) else evaluation
    known = np.asarray(task.truth(dict(learnt), labels))
    found = {"majority": task.score(truth, _majority(known, len(truth), len(labels)), labels)}
    if learnt is train and len(set(known.tolist())) > 1:
        outputs = _tfidf([as_text(x) for x in train["text"]], known, evaluation["text"], len(labels))
        if outputs is not None:
            found["tfidf"] = task.score(truth, outputs, labels)
    return found


def unspaced(texts: Sequence[str], share: float = 0.2) -> bool:
    """Whether a good part of the characters belongs to a script without spaces between words.

    >>> unspaced(["房间很干净，服务也好"]), unspaced(["a clean room"])
    (True, False)
    """
    sample = "".join(text[:500] for text in texts[:500])
    return len(_UNSPACED.findall(sample)) > share * max(len(sample), 1)


def _majority(known: NDArray[Any], rows: int, classes: int) -> NDArray[np.float64]:
    # Log shares of the training labels, one added to each count: the constant guess with the least loss.
    counts = np.bincount(known, minlength=classes) + 1.0
    return np.tile(np.log(counts / counts.sum()), (rows, 1))


def _tfidf(texts: list[str], known: NDArray[Any], asked: Sequence[Any], classes: int) -> NDArray[np.float64] | None:
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
