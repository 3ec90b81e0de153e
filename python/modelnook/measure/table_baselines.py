"""The baseline of tables: gradient-boosted trees on the columns as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.domain.dataset import FEATURE
from modelnook.tasks.base import Columns, Spec

__all__ = ["trees"]

MOST_ROWS = 50_000
MOST_WORDS = 250
"""Words of a column that are told apart, the commonest; scikit-learn's trees take 255 at most."""
LEAST = 1e-9
SEED = 13


def trees(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    """Log probabilities, shape (rows, classes), by scikit-learn's histogram-based gradient boosting."""
    if train is None:
        return None
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError:
        return None
    known = np.asarray(task.truth(train, labels))
    names = [role for role in train if role.startswith(FEATURE) and role in evaluation]
    if not names or len(set(known.tolist())) < 2:
        return None
    pairs = [_column(train[name], evaluation[name]) for name in names]
    seen, asked = (np.stack([pair[side] for pair in pairs], axis=1) for side in (0, 1))
    words = np.array([pair[2] for pair in pairs])
    if len(known) > MOST_ROWS:
        taken = np.random.default_rng(SEED).choice(len(known), MOST_ROWS, replace=False)
        seen, known = seen[taken], known[taken]
    model = HistGradientBoostingClassifier(categorical_features=words, random_state=SEED).fit(seen, known)
    outputs = np.full((len(asked), len(labels)), np.log(LEAST))
    outputs[:, model.classes_] = np.log(np.maximum(model.predict_proba(asked), LEAST))
    return outputs


def _column(seen: Sequence[Any], asked: Sequence[Any]) -> tuple[NDArray[Any], NDArray[Any], bool]:
    """``(training values, values asked for, whether they are numbers of words)``; what is missing or new is NaN."""
    if all(v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in seen):
        return _numbers(seen), _numbers(asked), False
    texts, counts = np.unique([str(v) for v in seen if v is not None], return_counts=True)
    place = {str(text): float(i) for i, text in enumerate(texts[np.argsort(-counts, kind="stable")][:MOST_WORDS])}
    found = [np.array([place.get(str(v), np.nan) for v in values]) for values in (seen, asked)]
    return found[0], found[1], True


def _numbers(values: Sequence[Any]) -> NDArray[Any]:
    def number(value: Any) -> float:
        try:
            return np.nan if value is None else float(value)
        except (TypeError, ValueError):
            return np.nan

    return np.array([number(value) for value in values])
