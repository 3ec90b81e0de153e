"""Metrics with 95% bootstrap intervals, and how far two models differ on the same rows.

The interval is the percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13): rows
are drawn with replacement, the metric is computed anew, and the middle 95% of its values is the interval. Metrics that
follow from sums over rows, or from a confusion table, are drawn at once (:meth:`modelnook.tasks.spec.Spec.draws`), the
others row by row. Where all rows are right, or none, every draw says the same, however few they are: the share of right
rows has the score interval then (Wilson 1927).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.domain.run import LOWER_IS_BETTER, UNBOUNDED
from modelnook.tasks.bootstrap import resample
from modelnook.tasks.spec import Spec

__all__ = ["agreement", "paired_drop", "rows_needed", "score"]

RESAMPLES = 2000
# Row-by-row resamples stop adding where rows x resamples would take longer than about a second.
ROW_DRAWS = 4_000_000
SEED = 20_251
LEVEL = (2.5, 97.5)
SHARES = ("accuracy", "exact_match")
"""Metrics that are the share of right rows."""


def score(
    spec: type[Spec] | Spec, truth: Any, outputs: Any, labels: Sequence[str], *, resamples: int = RESAMPLES
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """``(metrics, intervals)`` of a model's outputs.

    Args:
        spec: the task's light half; its ``score`` is the one definition of each metric.
        truth: encoded targets, one a row.
        outputs: the model's outputs, one a row.
        labels: the label names in the order of the outputs' columns.

    Returns:
        metric -> value, and metric -> (low, high) at 95%. Empty for no rows; the same for the same input, always.
    """
    if not len(outputs):
        return {}, {}
    task = spec() if isinstance(spec, type) else spec
    metrics = task.score(truth, outputs, labels)
    random = np.random.default_rng(SEED)
    draws: dict[str, Any] = {**task.draws(truth, outputs, labels, resamples, random)}
    rest = sorted(set(metrics) - set(draws))
    if rest:
        draws |= _row_draws(task, truth, outputs, labels, rest, resamples, random)
    intervals = {}
    for name in metrics:
        values = np.asarray(draws[name])
        values = values[np.isfinite(values)]
        if len(values):
            low, high = np.percentile(values, LEVEL)
            intervals[name] = (float(low), float(high))
            if name in SHARES and metrics[name] in (0, 1):
                intervals[name] = wilson(round(metrics[name] * len(outputs)), len(outputs))
    return metrics, intervals


def taken(values: Any, index: NDArray[np.int64]) -> Any:
    """Some rows of outputs or targets, which are an array or a list."""
    return values[index] if isinstance(values, np.ndarray) else [values[i] for i in index]


def _row_draws(
    task: Spec,
    truth: Any,
    outputs: Any,
    labels: Sequence[str],
    names: list[str],
    resamples: int,
    random: np.random.Generator,
) -> dict[str, list[float]]:
    # What only the rows decide, such as the area under the ROC curve: the task's own function on each resample.
    rows = len(outputs)
    times = max(100, min(resamples, ROW_DRAWS // (4 * max(rows, 1))))
    draws: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(times):
        index = random.integers(0, rows, rows)
        values = task.score(taken(truth, index), taken(outputs, index), labels)
        for name in names:
            draws[name].append(values.get(name, np.nan))
    return draws


def agreement(spec: Spec, before: Any, after: Any) -> tuple[float, tuple[float, float]]:
    """The share of answers that are the same of two models, and its 95% interval.

    Where a row has one answer it is the score interval (Wilson 1927); where it has several, which aren't independent of
    each other, percentiles of a bootstrap over the rows.
    """
    sums = spec.alike(before, after)
    same, count = sums.sum(axis=0)
    if not count:
        return math.nan, (math.nan, math.nan)
    share = float(same / count)
    if share in (0, 1) or (sums[:, 1] == 1).all():
        return share, wilson(round(share * len(sums)), len(sums))
    drawn = resample(sums, RESAMPLES, np.random.default_rng(SEED))
    low, high = np.percentile(drawn[:, 0] / np.maximum(drawn[:, 1], 1), LEVEL)
    return share, (float(low), float(high))


def wilson(hits: int, rows: int) -> tuple[float, float]:
    """The 95% score interval of a share.

    >>> tuple(round(v, 3) for v in wilson(98, 100))
    (0.93, 0.994)
    """
    z = 1.959963984540054
    share, shrink = hits / rows, 1 + z * z / rows
    middle = (share + z * z / (2 * rows)) / shrink
    reach = z / shrink * np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    # At the edge it ends with the share itself, which rounding may miss.
    return float(max(0.0, middle - reach) if hits else 0.0), float(min(1.0, middle + reach) if hits < rows else 1.0)


def paired_drop(
    spec: type[Spec] | Spec, metric: str, truth: Any, before: Any, after: Any, labels: Sequence[str]
) -> tuple[float, tuple[float, float]]:
    """How much worse ``after`` is than ``before`` in one metric on the same rows, and the drop's 95% interval.

    Both are drawn on the same resampled rows (a paired bootstrap): the rows' own difficulty cancels out. Positive is
    worse, whichever way the metric runs; metrics in the data's own unit fall by a share of what they were.
    """
    task = spec() if isinstance(spec, type) else spec
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    was = task.score(truth, before, labels)[metric]
    unit = sign / abs(was) if metric in UNBOUNDED and was else sign
    whole = unit * (was - task.score(truth, after, labels)[metric])
    drops = unit * _paired_draws(task, metric, truth, before, after, labels)
    drops = drops[np.isfinite(drops)]
    low, high = np.percentile(drops, LEVEL) if len(drops) else (np.nan, np.nan)
    return float(whole), (float(low), float(high))


def _paired_draws(
    task: Spec, metric: str, truth: Any, before: Any, after: Any, labels: Sequence[str]
) -> NDArray[np.float64]:
    """``before`` less ``after`` on resamples of the rows."""
    random = np.random.default_rng(SEED)
    old, new = task.sums(truth, before, labels), task.sums(truth, after, labels)
    if old is not None and new is not None and metric in task.metrics_of(old.sum(axis=0)):
        drawn = resample(np.concatenate([old, new], axis=1), RESAMPLES, random)
        width = old.shape[1]
        return task.metrics_of(drawn[:, :width])[metric] - task.metrics_of(drawn[:, width:])[metric]
    rows = len(before)
    drops = np.empty(max(200, min(RESAMPLES, ROW_DRAWS // (8 * max(rows, 1)))))
    for i in range(len(drops)):
        index = random.integers(0, rows, rows)
        part = taken(truth, index)
        was, now = (task.score(part, taken(values, index), labels)[metric] for values in (before, after))
        drops[i] = was - now
    return drops


def rows_needed(drop: float, changed: float = 0.02) -> int:
    """Rows with which a drop of ``drop`` is told from none at 95%: the paired difference's half-width is at most it.

    ``changed`` is the share of rows whose rightness differs between the two models: the difference of two shares on
    the same rows has the variance ``changed / rows`` at most (McNemar 1947).

    >>> rows_needed(0.01)
    769
    """
    z = 1.959963984540054
    return int(np.ceil(z * z * max(changed, drop) / (drop * drop))) if drop > 0 else 0
