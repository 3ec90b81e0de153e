"""One label out of two or more, for anything: what the tasks of text, images, sounds and table rows share.

``accuracy`` is the primary metric, also where classes are uneven: it is what people ask for, and ``f1_macro`` and the
majority baseline stand beside it. Two classes have ``f1`` and ``auc`` of the *positive* class as well: the label with a
name like ``1``, ``yes``, ``spam`` or ``是``; where neither has one, the rarer in training, which is put last.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from modelnook.domain.errors import DataError
from modelnook.domain.event import Warned
from modelnook.domain.table import Table
from modelnook.tasks.bootstrap import resample
from modelnook.tasks.labels import indices, label_names, names, ordered, positive, rare_labels
from modelnook.tasks.spec import ADAPTERS, Columns, Spec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Classification", "confusion_counts", "softmax"]

MIN_ROWS = 8
OF_TWO = ("f1", "auc", "auc_pr")
"""Metrics of the positive one of two labels."""

MOST_CLASSES = 200
"""Beyond this many classes the full confusion matrix is too big to read, and a record should stay small."""


class Classification(Spec):
    """See :class:`~modelnook.tasks.spec.Spec`; a task of its own says name, inputs and what to check of these."""

    targets = ("label",)
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "f1_macro", "f1", "auc", "mcc", "loss")
    predicts = ("label", "score", "scores")
    methods: ClassVar[tuple[str, ...]] = ("full", *ADAPTERS, "head", "last-k", "few-shot")
    baselines: ClassVar[tuple[str, ...]] = ("majority",)

    def metrics_for(self, columns: Columns) -> tuple[str, ...]:
        """Those of one positive label only where there are no more than two labels."""
        if "label" not in columns or len(set(names(columns["label"]))) <= 2:
            return self.metrics
        return tuple(name for name in self.metrics if name not in OF_TWO)

    def check(self, columns: Columns) -> list[Warned]:
        """See :meth:`Spec.check`: fatal are missing labels, one class, fewer than 8 rows."""
        values = columns["label"]
        if len(values) < MIN_ROWS:
            raise DataError("task.too_few_rows", rows=len(values), least=MIN_ROWS)
        found = names(values)
        counts = Counter(found)
        if len(counts) == 1:
            raise DataError("task.one_class", label=found[0], rows=len(found))
        if len(counts) > 20 and len(counts) > 0.5 * len(found):
            raise DataError("task.too_many_classes", classes=len(counts), rows=len(found))
        return _check_labels(values, counts)

    def labels(self, columns: Columns) -> list[str]:
        """The names in natural order ("2" before "10"); of two, the positive one last."""
        return ordered(names(columns["label"]))

    def truth(self, columns: Columns, labels: Sequence[str]) -> NDArray[np.int64]:
        """The index of each row's label, int64 of shape (rows,)."""
        import numpy as np

        return np.array(indices(names(columns["label"]), labels), dtype=np.int64)

    def score(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, float]:
        """Metrics from logits or log-probabilities of shape (rows, classes); ``f1`` and ``auc`` with two classes."""
        import numpy as np

        truth = np.asarray(truth)
        outputs = np.asarray(outputs, dtype=np.float64)
        guess = outputs.argmax(axis=1)
        classes = outputs.shape[1]
        table = confusion_counts(truth, guess, classes)
        f1, seen = _f1(table)
        found = {"accuracy": float((truth == guess).mean()), "f1_macro": float(f1[seen].mean()) if seen.any() else 0.0}
        if classes == 2:
            one = positive(labels)
            found["f1"] = float(f1[one])
            found["auc"] = _auc(truth == one, outputs[:, one] - outputs[:, 1 - one])
        found["mcc"] = _mcc(table)
        found["loss"] = float((_logsumexp(outputs) - outputs[np.arange(len(truth)), truth]).mean())
        return found

    def answers(self, outputs: Any, labels: Sequence[str], rows: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """``label``, its ``score`` (softmax) and the ``scores`` of all labels, from logits of shape (rows, classes)."""
        import numpy as np

        outputs = np.asarray(outputs)
        if not len(outputs):
            return []
        known = label_names(labels, outputs.shape[1])
        shares = softmax(outputs)
        best = shares.argmax(axis=1).tolist()
        return [
            {"label": known[top], "score": scores[top], "scores": dict(zip(known, scores, strict=True))}
            for top, scores in zip(best, shares.tolist(), strict=True)
        ]

    def draws(
        self, truth: Any, outputs: Any, labels: Sequence[str], resamples: int, random: np.random.Generator
    ) -> dict[str, NDArray[np.float64]]:
        """See :meth:`Spec.draws`. A resample of rows is a multinomial draw of the confusion table's cells."""
        import numpy as np

        outputs = np.asarray(outputs)
        if outputs.ndim != 2 or outputs.shape[1] < 2:
            return {}
        table = confusion_counts(np.asarray(truth), outputs.argmax(axis=1), outputs.shape[1])
        losses = resample(self.sums(truth, outputs, labels)[:, 1:], resamples, random)
        return {**_table_draws(table, labels, resamples, random), "loss": losses[:, 0] / losses[:, 1]}

    def sums(self, truth: Any, outputs: Any, labels: Sequence[str]) -> NDArray[np.float64]:
        """Whether a row is right, and its loss; shape (rows, 3), the last column ones."""
        import numpy as np

        outputs = np.asarray(outputs, dtype=np.float64)
        right = outputs.argmax(axis=1) == truth
        losses = _logsumexp(outputs) - outputs[np.arange(len(outputs)), truth]
        return np.stack([right.astype(np.float64), losses, np.ones(len(outputs))], axis=1)

    def metrics_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """``accuracy`` and ``loss``, which are means over rows."""
        return {"accuracy": sums[..., 0] / sums[..., 2], "loss": sums[..., 1] / sums[..., 2]}

    def agree(self, before: Any, after: Any) -> NDArray[np.bool_]:
        """Where both give the same label."""
        import numpy as np

        same: NDArray[np.bool_] = np.asarray(before).argmax(axis=1) == np.asarray(after).argmax(axis=1)
        return same

    def tables(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, Table]:
        """``per_class`` (label, precision, recall, f1, rows), and ``confusion``: rows are true, columns predicted."""
        import numpy as np

        outputs = np.asarray(outputs)
        if outputs.ndim != 2 or not len(outputs) or outputs.shape[1] != len(labels):
            return {}
        counts = confusion_counts(np.asarray(truth), outputs.argmax(axis=1), outputs.shape[1])
        found = {"per_class": _per_class(counts, labels)}
        if len(labels) <= MOST_CLASSES:
            rows = tuple((name, *line) for name, line in zip(labels, counts.tolist(), strict=True))
            found["confusion"] = Table(("label", *labels), rows)
        return found


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities of each row's classes; shape (rows, classes), computed in float64."""
    import numpy as np

    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    grown = np.exp(shifted)
    total: NDArray[np.float64] = grown / grown.sum(axis=1, keepdims=True)
    return total


def confusion_counts(truth: NDArray[Any], guess: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Rows by (true, predicted); shape (classes, classes)."""
    import numpy as np

    flat = np.bincount(truth.astype(np.int64) * classes + guess, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def _per_class(table: NDArray[np.int64], labels: Sequence[str]) -> Table:
    rows = []
    for i, name in enumerate(labels):
        right, true, guess = int(table[i, i]), int(table[i].sum()), int(table[:, i].sum())
        precision, recall = right / guess if guess else 0.0, right / true if true else 0.0
        f1 = 2 * right / (true + guess) if true + guess else 0.0
        rows.append((name, precision, recall, f1, true))
    return Table(("label", "precision", "recall", "f1", "rows"), tuple(rows))


def _table_draws(
    table: NDArray[np.int64], labels: Sequence[str], resamples: int, random: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Metric -> its value on each resample, for the metrics that a confusion table (classes, classes) decides."""
    import numpy as np

    classes, rows = len(table), int(table.sum())
    cells = np.flatnonzero(table)
    true, guess = np.divmod(cells, classes)
    drawn = random.multinomial(rows, table.ravel()[cells] / rows, size=resamples).astype(np.float64)
    hit = true == guess
    right = np.zeros((resamples, classes))
    right[:, true[hit]] = drawn[:, hit]
    # Sums of cells by row and by column of the table, as one matrix product each.
    trues = drawn @ np.eye(classes)[true]
    guesses = drawn @ np.eye(classes)[guess]
    f1 = 2 * right / np.maximum(trues + guesses, 1)
    seen = (trues + guesses) > 0
    found = {
        "accuracy": right.sum(axis=1) / rows,
        "f1_macro": f1.sum(axis=1) / np.maximum(seen.sum(axis=1), 1),
        "mcc": _mcc_draws(right.sum(axis=1), trues, guesses, rows),
    }
    if classes == 2:
        found["f1"] = f1[:, positive(labels)]
    return found


def _mcc_draws(
    right: NDArray[np.float64], trues: NDArray[np.float64], guesses: NDArray[np.float64], rows: int
) -> NDArray[np.float64]:
    import numpy as np

    # Matthews' correlation for any number of classes (Gorodkin 2004), 0 where it isn't defined.
    cover = right * rows - (trues * guesses).sum(axis=1)
    spread = (rows**2 - (guesses**2).sum(axis=1)) * (rows**2 - (trues**2).sum(axis=1))
    found: NDArray[np.float64] = np.zeros_like(cover)
    np.divide(cover, np.sqrt(np.maximum(spread, 0)), out=found, where=spread > 0)
    return found


def _check_labels(values: Sequence[Any], counts: Counter[str]) -> list[Warned]:
    warned = []
    kinds = {isinstance(v, str) for v in values}
    if len(kinds) == 2:
        is_text = isinstance(values[0], str)
        row = next(i for i, v in enumerate(values) if isinstance(v, str) != is_text)
        warned.append(Warned.of("task.mixed_labels", row=row, value=repr(values[row])))
    if rare := rare_labels(counts):
        warned.append(rare)
    name, most = counts.most_common(1)[0]
    share = most / sum(counts.values())
    if share >= 0.8:
        warned.append(Warned.of("task.imbalanced", label=name, percent=round(100 * share)))
    return warned


def _f1(table: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """F1 of each class, and which classes occur in truth or guess (the mean is over those, as scikit-learn does)."""
    import numpy as np

    both = table.sum(axis=0) + table.sum(axis=1)
    return 2 * np.diag(table) / np.maximum(both, 1), both > 0


def _mcc(table: NDArray[np.int64]) -> float:
    """Matthews' correlation of a confusion table with any number of classes; 0 where it isn't defined."""
    import numpy as np

    counts = table.astype(np.float64)
    true, guess, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    cover = np.trace(counts) * total - true @ guess
    spread = (total**2 - guess @ guess) * (total**2 - true @ true)
    return float(cover / np.sqrt(spread)) if spread > 0 else 0.0


def _auc(is_positive: NDArray[np.bool_], margin: NDArray[np.float64]) -> float:
    """Area under the ROC curve by ranks, ties counted half; NaN where only one class is there."""
    import numpy as np

    hits = int(is_positive.sum())
    rest = len(margin) - hits
    if not hits or not rest:
        return math.nan
    _, place, count = np.unique(margin, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[is_positive].sum() - hits * (hits + 1) / 2) / (hits * rest))


def _logsumexp(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    top = outputs.max(axis=1)
    total: NDArray[np.float64] = top + np.log(np.exp(outputs - top[:, None]).sum(axis=1))
    return total
