"""A run's record: what state.json keeps, the index lists, RPC sends. The person's handle is ``modelnook.run.Run``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from modelnook.domain.errors import as_written
from modelnook.domain.shown import Shown
from modelnook.domain.table import Table, jsonable
from modelnook.messages import has, t

__all__ = [
    "AGREEMENT",
    "LIVE",
    "LOOKS",
    "LOWER_IS_BETTER",
    "MOVES",
    "STATES",
    "UNBOUNDED",
    "Comparison",
    "Evaluation",
    "RunRecord",
    "amount",
    "off_cpu",
    "unbeaten",
]

STATES = ("queued", "running", "finished", "stopped", "failed", "crashed")
LIVE = ("queued", "running")
MOVES = ("publish", "pull")
"""Kinds that bring a model somewhere and make none: they need no device, and are history only where they failed."""
LOOKS = ("compare", "evaluate", "export")
"""Kinds that look at a model, whose name they bear, and make none."""
AGREEMENT = "agreement"
"""The share of rows that a changed model answers as the original does: the metric where there are no labels."""
LOWER_IS_BETTER = frozenset(("loss", "perplexity", "wer", "cer", "mse", "rmse", "mae"))
"""Metrics of which less is better; of every other one more is."""
UNBOUNDED = frozenset(("perplexity", "mse", "rmse", "mae"))
"""Metrics without a scale of their own: how far one falls is told as a share of what it was."""


def amount(metric: str | None, share: float, form: str = ".1f") -> str:
    """How far a metric moved, in words: in points, or in percent of what it was.

    >>> amount("accuracy", 0.012), amount("rmse", 0.5, "+.0f")
    ('1.2 points', '+50%')
    """
    return t("core.percent" if metric in UNBOUNDED else "core.points", n=format(100 * share, form))


def off_cpu(sides: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any of these was measured elsewhere than on a CPU: then each says where it was.

    >>> off_cpu([{"device": "cpu"}, {}]), off_cpu([{"device": "cuda"}, {}])
    (False, True)
    """
    return any(side.get("device") not in (None, "cpu") for side in sides)


def unbeaten(metrics: dict[str, float], baselines: dict[str, dict[str, float]], metric: str | None) -> str | None:
    """The best baseline that a model doesn't beat in ``metric``; None where it beats all of them.

    >>> unbeaten({"accuracy": 0.967}, {"majority": {"accuracy": 0.2}, "tfidf": {"accuracy": 0.976}}, "accuracy")
    'tfidf'
    """
    if metric is None or metrics.get(metric) is None:
        return None
    sign = -1 if metric in LOWER_IS_BETTER else 1
    reached = {name: sign * found[metric] for name, found in baselines.items() if found.get(metric) is not None}
    best = max(reached, key=reached.__getitem__, default=None)
    return best if best is not None and reached[best] >= sign * metrics[metric] else None


@dataclass(frozen=True, slots=True)
class RunRecord(Shown):
    """One run. Times are ISO 8601 in UTC; ``metrics`` are the validation split's under the names ``evaluate`` uses.

    ``model`` is the reference made (None until it is), ``base`` the one started from. ``epoch`` is the lease's.
    ``stopping`` and ``resumable`` are told by the run's folder, whoever wrote the record.
    """

    id: str
    name: str
    kind: str
    state: str
    model: str | None = None
    base: str | None = None
    task: str | None = None
    method: str | None = None
    data: dict[str, Any] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] | None = None
    """What a training was said to take before its first step."""
    metrics: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    primary_metric: str | None = None
    progress: dict[str, Any] | None = None
    created: str | None = None
    started: str | None = None
    ended: str | None = None
    device: str | None = None
    host: str | None = None
    wandb: dict[str, Any] | None = None
    notebook: str | None = None
    pid: int | None = None
    warnings: tuple[str, ...] = ()
    error: dict[str, str] | None = None
    report: dict[str, Any] | None = None
    origin: str = "local"
    resumable: bool = False
    stopping: bool = False
    identity: str | None = None
    group: str | None = None
    """The run that this one is a part of."""
    epoch: int = 0
    version: str = ""
    sources: tuple[dict[str, Any], ...] = ()
    """Of each warning its ``code`` and ``values``; none in records of before there were any."""
    environment: dict[str, Any] | None = None
    """What it was computed with: ``python``, ``system``, ``packages`` (name -> version), ``hardware``."""

    @property
    def live(self) -> bool:
        """Queued or running."""
        return self.state in LIVE

    @property
    def makes(self) -> bool:
        """Whether it is there to make a model; others look at one or move it, and bear its name."""
        return self.kind not in (*LOOKS, *MOVES)

    @property
    def shown_state(self) -> str:
        """The state as a person is told it: a live run that was asked to stop is ``stopping``."""
        return "stopping" if self.stopping and self.live else self.state

    @property
    def primary(self) -> float | None:
        """The value of the primary metric."""
        return self.metrics.get(self.primary_metric) if self.primary_metric else None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return jsonable(asdict(self))  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RunRecord:
        """Read :meth:`to_dict`'s form; unknown keys are left out."""
        known = {k: v for k, v in data.items() if k in cls.__dataclass_fields__}
        known["sources"] = tuple(known.get("sources") or ())
        known["warnings"] = _told(tuple(known.get("warnings") or ()), known["sources"])
        known["intervals"] = {k: tuple(v) for k, v in (known.get("intervals") or {}).items()}
        return cls(**known)


_KEY = re.compile(r"[a-z_]+\.[a-z_]+")


def _told(warnings: tuple[str, ...], sources: tuple[Any, ...]) -> tuple[str, ...]:
    """Warnings in the reader's language, where it is known what they are made of; else as they were written."""
    if len(sources) != len(warnings):
        return warnings
    return tuple(map(_anew, warnings, sources))


def _anew(written: str, source: Any) -> str:
    try:
        code, values = source["code"], source["values"]
        # Records of others are read as well: a key of the catalogue and what fills it, nothing else.
        known = _KEY.fullmatch(code) and has(code) and "lang" not in values
        return as_written(t(code, **values)) if known else written
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        return written


@dataclass(frozen=True, slots=True)
class Evaluation(Shown):
    """What ``evaluate`` found; ``run`` is the id of the stored run, ``data`` which rows (``note`` says if used before).

    ``per_class`` is a table: label, precision, recall, f1, rows. ``confusion`` is rows = true, columns = predicted.
    ``slices`` has the primary metric by the values of the columns that were asked for.
    """

    run: str
    model: str
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    baselines: dict[str, dict[str, float]]
    primary_metric: str
    data: dict[str, Any]
    note: str = ""
    per_class: Table | None = None
    confusion: Table | None = None
    slices: Table | None = None
    warnings: tuple[str, ...] = ()

    def table(self) -> Table:
        """One row a metric: value, interval, and each baseline's value."""
        bases = sorted(self.baselines)
        rows = []
        for name, value in self.metrics.items():
            low, high = self.intervals.get(name, (None, None))
            rows.append((name, value, low, high, *(self.baselines[b].get(name) for b in bases)))
        return Table(("metric", "value", "low", "high", *bases), tuple(rows))

    def to_frame(self) -> Any:
        """A pandas DataFrame, one row a metric."""
        return self.table().to_frame()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        values = {n: getattr(self, n) for n in self.__dataclass_fields__}
        data = {n: v.to_dict() if isinstance(v, Table) else v for n, v in values.items()}
        return jsonable(data)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Comparison(Shown):
    """Models side by side on the same rows; ``front``: those on the Pareto front of quality, size and latency.

    ``data`` says on which and how many rows, ``note`` if they were used while choosing.
    """

    table: Table
    front: tuple[str, ...]
    primary_metric: str
    data: dict[str, Any]
    run: str | None = None
    note: str = ""
    warnings: tuple[str, ...] = ()

    def to_frame(self) -> Any:
        """A pandas DataFrame, one row a model."""
        return self.table.to_frame()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            **self.table.to_dict(),
            "front": list(self.front),
            "primary_metric": self.primary_metric,
            "data": jsonable(self.data),
            "run": self.run,
            "note": self.note,
            "warnings": list(self.warnings),
        }
