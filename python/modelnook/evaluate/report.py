"""What ``evaluate`` says beside the metrics: the classes one by one, and which is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelnook.domain.table import Table
from modelnook.measure.baselines import Columns, baselines
from modelnook.measure.score import confusion, per_class, score
from modelnook.tasks.base import Spec

__all__ = ["Parts", "evaluate", "tables"]

# Beyond this many classes the full matrix is too big to read, and a record should stay small.
MOST_CLASSES = 200


@dataclass(frozen=True, slots=True)
class Parts:
    """What an :class:`~modelnook.domain.run.Evaluation` is made of, apart from the run, the model and the data."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    baselines: dict[str, dict[str, float]]
    primary_metric: str
    per_class: Table | None
    confusion: Table | None


def evaluate(spec: Spec, outputs: Any, rows: Columns, labels: Sequence[str], *, train: Columns | None = None) -> Parts:
    """Score outputs against the rows' labels.

    Args:
        outputs: raw outputs, shape (rows, classes).
        rows: role -> values of the evaluation rows.
        labels: the model's label names, in the order of its outputs.
        train: role -> values of the training rows, which the baselines learn from.

    Raises:
        DataError: a label that the model doesn't know; the row and the label are named.
    """
    truth = spec.truth(dict(rows), labels)
    metrics, intervals = score(spec, truth, outputs, labels)
    found = tables(truth, outputs, labels, make=lambda table: table)
    return Parts(
        metrics=metrics,
        intervals=intervals,
        baselines=baselines(spec, train, rows, labels),
        primary_metric=spec.metrics[0],
        per_class=found["per_class"],
        confusion=found["confusion"],
    )


def tables(truth: Any, outputs: Any, labels: Sequence[str], make: Any = Table.to_dict) -> dict[str, Any]:
    """``{"per_class": …, "confusion": …}``, each in the JSON form of a table; None for a task without classes."""
    if getattr(outputs, "ndim", 0) != 2 or not len(outputs) or outputs.shape[1] != len(labels):
        return {"per_class": None, "confusion": None}
    small = len(labels) <= MOST_CLASSES
    return {
        "per_class": make(per_class(truth, outputs, labels)),
        "confusion": make(confusion(truth, outputs, labels)) if small else None,
    }
