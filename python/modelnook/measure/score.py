"""Metrics with 95% bootstrap intervals, the table of classes and the confusion matrix.

The interval is the percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13): rows
are drawn with replacement, the metric is computed anew, and the middle 95% of its values is the interval. For metrics
that depend on the confusion table alone, a resample of rows is a multinomial draw of the table's cells, which is exact
and costs nothing with the number of rows; the others are drawn row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.domain.run import LOWER_IS_BETTER
from modelnook.domain.table import Table
from modelnook.tasks.base import Spec

__all__ = ["agreement", "confusion", "confusion_counts", "paired_drop", "per_class", "rows_needed", "score"]

RESAMPLES = 2000
# Row-by-row resamples stop adding where rows x resamples would take longer than about a second.
ROW_DRAWS = 4_000_000
SEED = 20_251
LEVEL = (2.5, 97.5)

_TABLE_METRICS = frozenset(("accuracy", "f1", "f1_macro", "mcc"))


def score(
    spec: type[Spec] | Spec, truth: Any, outputs: Any, labels: Sequence[str], *, resamples: int = RESAMPLES
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """``(metrics, intervals)`` of a model's outputs.

    Args:
        spec: the task's light half; its ``score`` is the one definition of each metric.
        truth: encoded targets, shape (rows,).
        outputs: raw outputs, shape (rows, classes).
        labels: the names of the outputs' columns.

    Returns:
        metric -> value, and metric -> (low, high) at 95%. Empty for no rows; the same for the same input, always.
    """
    truth, outputs = np.asarray(truth), np.asarray(outputs)
    if not len(truth):
        return {}, {}
    task = spec() if isinstance(spec, type) else spec
    metrics = task.score(truth, outputs, labels)
    random = np.random.default_rng(SEED)
    draws = _resampled(task, truth, outputs, labels, set(metrics), resamples, random)
    intervals = {}
    for name in metrics:
        values = np.asarray(draws.get(name, ()))
        values = values[np.isfinite(values)]
        if len(values):
            low, high = np.percentile(values, LEVEL)
            intervals[name] = (float(low), float(high))
    return metrics, intervals


def _resampled(
    task: Spec,
    truth: NDArray[Any],
    outputs: NDArray[Any],
    labels: Sequence[str],
    names: set[str],
    resamples: int,
    random: np.random.Generator,
) -> dict[str, Any]:
    draws: dict[str, Any] = {}
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        table = confusion_counts(truth, outputs.argmax(axis=1), outputs.shape[1])
        draws = table_draws(table, labels, resamples, random)
    rest = sorted(names - set(draws))
    if "loss" in rest and outputs.ndim == 2:
        draws["loss"] = _mean_draws(_row_losses(truth, outputs), resamples, random)
        rest.remove("loss")
    if rest:
        draws.update(_row_draws(task, truth, outputs, labels, rest, resamples, random))
    return draws


def confusion_counts(truth: NDArray[Any], guess: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Rows by (true, predicted); shape (classes, classes)."""
    flat = np.bincount(truth.astype(np.int64) * classes + guess, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def table_draws(
    table: NDArray[np.int64], labels: Sequence[str], resamples: int, random: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Metric -> its value on each resample, for the metrics that a confusion table (classes, classes) decides."""
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
        "mcc": _mcc(right.sum(axis=1), trues, guesses, rows),
    }
    if classes == 2:
        from modelnook.tasks.text_classification import positive

        found["f1"] = f1[:, positive(labels)]
    return found


def _mcc(
    right: NDArray[np.float64], trues: NDArray[np.float64], guesses: NDArray[np.float64], rows: int
) -> NDArray[np.float64]:
    # Matthews' correlation for any number of classes (Gorodkin 2004), 0 where it isn't defined.
    cover = right * rows - (trues * guesses).sum(axis=1)
    spread = (rows**2 - (guesses**2).sum(axis=1)) * (rows**2 - (trues**2).sum(axis=1))
    found: NDArray[np.float64] = np.zeros_like(cover)
    np.divide(cover, np.sqrt(np.maximum(spread, 0)), out=found, where=spread > 0)
    return found


def _row_losses(truth: NDArray[Any], outputs: NDArray[Any]) -> NDArray[np.float64]:
    logits = outputs.astype(np.float64)
    top = logits.max(axis=1, keepdims=True)
    total = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
    losses: NDArray[np.float64] = total - logits[np.arange(len(truth)), truth]
    return losses


def _mean_draws(values: NDArray[np.float64], resamples: int, random: np.random.Generator) -> NDArray[np.float64]:
    rows = len(values)
    times = max(200, min(resamples, ROW_DRAWS // max(rows, 1)))
    return np.array([values[random.integers(0, rows, rows)].mean() for _ in range(times)])


def _row_draws(
    task: Spec,
    truth: NDArray[Any],
    outputs: NDArray[Any],
    labels: Sequence[str],
    names: list[str],
    resamples: int,
    random: np.random.Generator,
) -> dict[str, list[float]]:
    # What only the rows decide, such as the area under the ROC curve: the task's own function on each resample.
    rows = len(truth)
    times = max(100, min(resamples, ROW_DRAWS // (4 * max(rows, 1))))
    draws: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(times):
        taken = random.integers(0, rows, rows)
        values = task.score(truth[taken], outputs[taken], labels)
        for name in names:
            draws[name].append(values.get(name, np.nan))
    return draws


def per_class(truth: Any, outputs: Any, labels: Sequence[str]) -> Table:
    """One row a class: label, precision, recall, f1, rows (how often it is true)."""
    outputs = np.asarray(outputs)
    table = confusion_counts(np.asarray(truth), outputs.argmax(axis=1), outputs.shape[1])
    rows = []
    for i, name in enumerate(labels):
        right, true, guess = int(table[i, i]), int(table[i].sum()), int(table[:, i].sum())
        precision, recall = right / guess if guess else 0.0, right / true if true else 0.0
        f1 = 2 * right / (true + guess) if true + guess else 0.0
        rows.append((name, precision, recall, f1, true))
    return Table(("label", "precision", "recall", "f1", "rows"), tuple(rows))


def confusion(truth: Any, outputs: Any, labels: Sequence[str]) -> Table:
    """Rows are the true labels, columns the predicted ones; the first column names the true label."""
    outputs = np.asarray(outputs)
    table = confusion_counts(np.asarray(truth), outputs.argmax(axis=1), outputs.shape[1])
    rows = tuple((name, *counts) for name, counts in zip(labels, table.tolist(), strict=True))
    return Table(("label", *labels), rows)


def agreement(before: Any, after: Any) -> tuple[float, tuple[float, float]]:
    """The share of rows on which two models give the same label, and its 95% interval (Wilson 1927)."""
    same = np.asarray(before).argmax(axis=1) == np.asarray(after).argmax(axis=1)
    return float(same.mean()), wilson(int(same.sum()), len(same))


def wilson(hits: int, rows: int) -> tuple[float, float]:
    """The 95% score interval of a share.

    >>> tuple(round(v, 3) for v in wilson(98, 100))
    (0.93, 0.994)
    """
    z = 1.959963984540054
    share, shrink = hits / rows, 1 + z * z / rows
    middle = (share + z * z / (2 * rows)) / shrink
    reach = z / shrink * np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return float(max(0.0, middle - reach)), float(min(1.0, middle + reach))


def paired_drop(
    spec: type[Spec] | Spec, metric: str, truth: Any, before: Any, after: Any, labels: Sequence[str]
) -> tuple[float, tuple[float, float]]:
    """How much worse ``after`` is than ``before`` in one metric on the same rows, and the drop's 95% interval.

    Both are drawn on the same resampled rows (a paired bootstrap): the rows' own difficulty cancels out. Positive is
    worse, whichever way the metric runs.
    """
    task = spec() if isinstance(spec, type) else spec
    truth, before, after = np.asarray(truth), np.asarray(before), np.asarray(after)
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    random = np.random.default_rng(SEED)
    rows = len(truth)
    whole = sign * (task.score(truth, before, labels)[metric] - task.score(truth, after, labels)[metric])
    if metric == "accuracy":
        change = (before.argmax(axis=1) == truth).astype(float) - (after.argmax(axis=1) == truth)
        # Each row is -1, 0 or 1: a resample is a multinomial draw of their three counts.
        shares = np.array([(change == v).mean() for v in (-1, 0, 1)])
        counts = random.multinomial(rows, shares / shares.sum(), size=RESAMPLES)
        drops = (counts[:, 2] - counts[:, 0]) / rows
    else:
        times = max(200, min(RESAMPLES, ROW_DRAWS // (8 * max(rows, 1))))
        drops = np.empty(times)
        for i in range(times):
            taken = random.integers(0, rows, rows)
            old = task.score(truth[taken], before[taken], labels)[metric]
            drops[i] = sign * (old - task.score(truth[taken], after[taken], labels)[metric])
    drops = drops[np.isfinite(drops)]
    low, high = np.percentile(drops, LEVEL) if len(drops) else (np.nan, np.nan)
    return float(whole), (float(low), float(high))


def rows_needed(drop: float, changed: float = 0.02) -> int:
    """Rows with which a drop of ``drop`` is told from none at 95%: the paired difference's half-width is at most it.

    ``changed`` is the share of rows whose rightness differs between the two models: the difference of two shares on
    the same rows has the variance ``changed / rows`` at most (McNemar 1947).

    >>> rows_needed(0.01)
    769
    """
    z = 1.959963984540054
    return int(np.ceil(z * z * max(changed, drop) / (drop * drop))) if drop > 0 else 0
