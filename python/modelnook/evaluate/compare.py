"""Models side by side: one row each, and which of them nothing else beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelnook.domain.front import front
from modelnook.domain.run import LOWER_IS_BETTER, off_cpu
from modelnook.domain.table import Table, jsonable
from modelnook.measure.probe import Probe
from modelnook.measure.score import score
from modelnook.tasks.spec import Columns, Spec

__all__ = ["front", "row_of", "table_of"]


def row_of(ref: str, spec: Spec, rows: Columns, measured: Probe) -> dict[str, Any]:
    """One model's part of a comparison, as JSON: ``{model, metrics, intervals, bytes, p50_ms, …}``.

    Raises:
        DataError: a label among the rows that this model doesn't know.
    """
    truth = spec.truth(rows, measured.labels)
    metrics, intervals = score(spec, truth, measured.outputs, measured.labels)
    lower = [name for name in metrics if name in LOWER_IS_BETTER]
    row = {"model": ref, **measured.figures(), "metrics": metrics, "intervals": intervals, "less_is_better": lower}
    made: dict[str, Any] = jsonable(row)
    return made


def table_of(models: Sequence[dict[str, Any]], primary_metric: str) -> tuple[Table, tuple[str, ...]]:
    """``(table, front)`` of :func:`row_of`'s rows: the primary metric with its interval first, then size and speed.

    Where any was measured elsewhere than on a CPU, each says where it was.
    """
    if not models:
        return Table(("model",), ()), ()
    known = models[0]["metrics"]
    metric = primary_metric if primary_metric in known else next(iter(known), primary_metric)
    others = [name for name in known if name != metric]
    figures = ["bytes", "p50_ms", "p95_ms", "rows_per_s", "peak_memory_bytes"]
    if off_cpu(models):
        figures.append("device")
    columns = ("model", metric, "low", "high", *others, *figures)
    rows = []
    for one in models:
        low, high = one["intervals"].get(metric) or (None, None)
        values = one["metrics"]
        told = (*(values.get(n) for n in others), *(one.get(f) for f in figures))
        rows.append((one["model"], values.get(metric), low, high, *told))
    sign = -1.0 if metric in models[0].get("less_is_better", ()) else 1.0
    points = [(m["model"], sign * (m["metrics"].get(metric) or 0.0), m["bytes"], m["p50_ms"]) for m in models]
    return Table(columns, tuple(rows)), front(points)
