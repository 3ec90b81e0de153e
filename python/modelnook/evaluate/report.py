"""What ``evaluate`` says of a model's outputs: metrics with intervals, baselines, and the tables beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelnook.domain.table import Table
from modelnook.evaluate.slices import slices
from modelnook.measure.baselines import baselines
from modelnook.measure.score import score
from modelnook.tasks.spec import Columns, Spec

__all__ = ["Report", "evaluate"]


@dataclass(frozen=True, slots=True)
class Report:
    """The measured part of an :class:`~modelnook.domain.run.Evaluation`.

    ``tables`` are the task's (``per_class``, ``confusion``), and ``slices`` where they were asked for.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    baselines: dict[str, dict[str, float]]
    tables: dict[str, Table]


def evaluate(
    spec: Spec,
    outputs: Any,
    rows: Columns,
    labels: Sequence[str],
    *,
    train: Columns | None = None,
    metrics: Sequence[str] | None = None,
    sliced: Mapping[str, Sequence[Any]] | None = None,
    but: str | None = None,
) -> Report:
    """Score outputs against the rows' targets.

    Args:
        outputs: the model's, in the order of the rows.
        rows: role -> values of the evaluation rows.
        labels: the model's label names, in the order of its outputs.
        train: role -> values of the training rows, which the baselines learn from.
        metrics: those to tell, the first of them for the slices; all without it.
        sliced: column -> values, by which the primary metric is told as well.
        but: a baseline that is left out, because it is the model itself.

    Raises:
        DataError: a label that the model doesn't know; the row and the label are named.
    """
    truth = spec.truth(rows, labels)
    found, intervals = score(spec, truth, outputs, labels)
    tables = spec.tables(truth, outputs, labels)
    if sliced:
        tables["slices"] = slices(spec, truth, outputs, labels, sliced, (metrics or spec.metrics)[0])
    wanted = [name for name in metrics or found if name in found]
    return Report(
        metrics={name: found[name] for name in wanted},
        intervals={name: intervals[name] for name in wanted if name in intervals},
        baselines=baselines(spec, train, rows, labels, but=but),
        tables=tables,
    )
