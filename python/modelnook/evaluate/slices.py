"""A metric by the values of a column: where a model does worse than its mean says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from modelnook.domain.run import LOWER_IS_BETTER
from modelnook.domain.table import Table
from modelnook.measure.score import score, taken
from modelnook.tasks.spec import Spec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MOST", "slices"]

MOST = 20
"""Values of a column that are shown, the commonest; a column of more different numbers is cut at its quartiles."""


def slices(
    spec: Spec,
    truth: Any,
    outputs: Any,
    labels: Sequence[str],
    columns: Mapping[str, Sequence[Any]],
    metric: str,
) -> Table:
    """One row a value: ``column, value, rows, METRIC, low, high``, the worst of each column first.

    Args:
        truth, outputs: of all rows, see :meth:`Spec.score`.
        columns: name -> the column's values.
    """
    sign = -1 if metric in LOWER_IS_BETTER else 1
    rows: list[tuple[Any, ...]] = []
    for name, values in columns.items():
        found = []
        for value, index in _groups(values).items():
            metrics, intervals = score(spec, taken(truth, index), taken(outputs, index), labels, resamples=500)
            low, high = intervals.get(metric, (None, None))
            found.append((name, value, len(index), metrics.get(metric), low, high))
        rows += sorted(found, key=lambda row: (row[3] is None, sign * (row[3] or 0)))
    return Table(("column", "value", "rows", metric, "low", "high"), tuple(rows))


def _groups(values: Sequence[Any]) -> dict[str, NDArray[np.int64]]:
    """Value -> positions of its rows."""
    import numpy as np

    names = _quartiles(values) if _many_numbers(values) else ["" if v is None else str(v) for v in values]
    kept = [name for name, _ in Counter(names).most_common(MOST)]
    at: dict[str, list[int]] = {name: [] for name in kept}
    for i, name in enumerate(names):
        if name in at:
            at[name].append(i)
    return {name: np.array(index, dtype=np.int64) for name, index in at.items()}


def _many_numbers(values: Sequence[Any]) -> bool:
    known = {v for v in values if v is not None}
    return len(known) > MOST and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in known)


def _quartiles(values: Sequence[Any]) -> list[str]:
    import numpy as np

    numbers = np.array([np.nan if v is None else float(v) for v in values])
    edges = np.unique(np.nanquantile(numbers, (0, 0.25, 0.5, 0.75, 1)))
    names = [f"{low:g} – {high:g}" for low, high in pairwise(edges)]
    place = np.clip(np.searchsorted(edges, numbers, side="left") - 1, 0, len(names) - 1)
    return ["" if np.isnan(number) else names[i] for number, i in zip(numbers, place.tolist(), strict=True)]
