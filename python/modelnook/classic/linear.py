"""Linear models as their coefficients: learnt by scikit-learn, applied by a product."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from modelnook.classic.base import LEAST

__all__ = ["MANY_CLASSES", "Linear", "log_shares"]

# With many classes each iteration takes longer: fewer keep it within seconds.
MANY_CLASSES = 50
CERTAIN = 20.0


@dataclass(frozen=True, slots=True)
class Linear:
    """``coef`` has the shape (features, outputs), ``intercept`` (outputs,); both float32."""

    coef: NDArray[np.float32]
    intercept: NDArray[np.float32]

    @classmethod
    def _of(cls, coef: Any, intercept: Any) -> Self:
        rows = np.atleast_2d(np.asarray(coef, dtype=np.float32))
        return cls(np.ascontiguousarray(rows.T), np.atleast_1d(np.asarray(intercept, dtype=np.float32)))

    @classmethod
    def logistic(cls, seen: Any, known: NDArray[Any], *, strength: float) -> tuple[Self, NDArray[np.int64]]:
        """Logistic regression, and the classes that its outputs are for; of two there is one output.

        ``strength`` is the inverse of its regularisation.
        """
        from sklearn.linear_model import LogisticRegression

        classes = len(set(known.tolist()))
        model = LogisticRegression(C=strength, max_iter=50 if classes > MANY_CLASSES else 200, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(seen, known)
        return cls._of(model.coef_, model.intercept_), np.asarray(model.classes_, dtype=np.int64)

    @classmethod
    def each(cls, seen: Any, known: NDArray[Any]) -> Self:
        """A logistic regression for each column of ``known``, of shape (rows, labels)."""
        from sklearn.linear_model import LogisticRegression

        coef = np.zeros((known.shape[1], seen.shape[1]), dtype=np.float32)
        intercept = np.zeros(known.shape[1], dtype=np.float32)
        for i in range(known.shape[1]):
            target = known[:, i]
            if target.min() == target.max():
                intercept[i] = CERTAIN if target[0] else -CERTAIN
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = LogisticRegression(C=10.0, max_iter=100, tol=1e-3).fit(seen, target)
            coef[i], intercept[i] = model.coef_[0], model.intercept_[0]
        return cls._of(coef, intercept)

    @classmethod
    def ridge(cls, seen: Any, known: NDArray[Any]) -> Self:
        """Ridge regression on one number."""
        from sklearn.linear_model import Ridge

        model = Ridge(alpha=1.0).fit(seen, known)
        return cls._of(model.coef_, model.intercept_)

    def __call__(self, asked: Any) -> NDArray[np.float32]:
        """The outputs, shape (rows, outputs)."""
        found: NDArray[np.float32] = np.asarray(asked @ self.coef) + self.intercept
        return found


def log_shares(margins: NDArray[Any], classes: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    """Log probabilities of shape (rows, width) from the margins of ``classes``; of two classes one margin says both."""
    values = np.asarray(margins, dtype=np.float64)
    if values.shape[1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=1)
    values = values - values.max(axis=1, keepdims=True)
    values = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
    # Classes that training never saw get a probability that is all but none.
    found = np.full((len(values), width), np.log(LEAST), dtype=np.float32)
    found[:, classes] = np.maximum(values, np.log(LEAST))
    return found
