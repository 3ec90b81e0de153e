"""Texts as TF-IDF weights of words and pairs of words, or of characters where a script puts no spaces between words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from modelnook.tasks.text import as_text

__all__ = ["MOST_CHARS", "MOST_FEATURES", "unspaced", "weighed"]

MOST_CHARS = 4_000
MOST_FEATURES = 50_000

# Chinese, Japanese, Thai, Lao, Burmese and Khmer are written without spaces; Korean isn't.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def unspaced(texts: Sequence[str], share: float = 0.2) -> bool:
    """Whether a good part of the characters belongs to a script without spaces between words.

    >>> unspaced(["房间很干净，服务也好"]), unspaced(["a clean room"])
    (True, False)
    """
    sample = "".join(text[:500] for text in texts[:500])
    return len(_UNSPACED.findall(sample)) > share * max(len(sample), 1)


def weighed(seen: Sequence[Any], *asked: Sequence[Any], features: int = MOST_FEATURES) -> tuple[Any, ...] | None:
    """Sparse matrices of shape (texts, features), rows of length one: of ``seen``, then of each ``asked``.

    The words and their weights come from ``seen``. None where scikit-learn is missing, or where no text has a word.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        return None
    texts = [as_text(x)[:MOST_CHARS] for x in seen]
    shape: dict[str, Any] = {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}
    if unspaced(texts):
        shape = {"ngram_range": (1, 3), "analyzer": "char"}
    words = TfidfVectorizer(sublinear_tf=True, max_features=features, dtype=np.float32, **shape)
    try:
        first = words.fit_transform(texts)
    except ValueError:
        return None
    return (first, *(words.transform([as_text(x)[:MOST_CHARS] for x in texts_]) for texts_ in asked))
