"""The settings under the one dial: what a person gives of them is checked before a job is started for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from modelnook.domain.errors import UsageError, unknown
from modelnook.domain.knobs import OWNERS

__all__ = ["PRECISIONS", "check_drop", "check_metric", "further", "knobs_of", "seconds"]

PRECISIONS = ("auto", "bf16", "fp32")

RANGES = {
    "warmup": (0, 0.9),
    "weight_decay": (0, 10),
    "patience": (0, 1000),
    "rank": (1, 4096),
    "alpha": (1, 8192),
    "dropout": (0, 0.9),
    "layers": (1, 200),
    "mix": (0, 1),
    "temperature": (0.01, 10),
}
"""Knob -> from and to, both allowed."""

WHOLE = ("patience", "rank", "alpha", "layers")


def check_drop(max_drop: float) -> None:
    """Refuse a ``max_drop`` that is no share; one beyond 1 was most likely meant in points.

    Raises:
        UsageError: with the share that was meant, or an example.
    """
    if 0 <= max_drop <= 1:
        return
    points = max_drop if 1 < max_drop <= 100 else 1
    raise UsageError("api.drop", value=max_drop, points=f"{points:g}", share=f"{points / 100:g}")


def knobs_of(
    *,
    spec: Any,
    size: str,
    epochs: float | None,
    learning_rate: float | None,
    batch_size: int | str,
    max_length: int | str,
    budget: str | float | None = None,
    metric: str | None = None,
) -> dict[str, Any]:
    """The plainest knobs of a training, checked; ``budget`` becomes ``max_seconds``.

    Raises:
        UsageError: no such size, a number that isn't positive, a metric that the task lacks, or no time.
    """
    from modelnook.finetune.plan import SIZES

    if size not in SIZES:
        raise UsageError("core.bad_value", name="size", value=size, allowed=", ".join(SIZES))
    for name, value in (("epochs", epochs), ("learning_rate", learning_rate)):
        if value is not None and not value > 0:
            raise UsageError("api.positive", name=name, value=value)
    for name, whole in (("batch_size", batch_size), ("max_length", max_length)):
        if whole != "auto" and (not isinstance(whole, int) or whole < 1):
            raise UsageError("api.positive", name=name, value=whole)
    if metric is not None and metric not in spec.metrics:
        raise unknown("metric", metric, spec.metrics)
    knobs: dict[str, Any] = {"size": size, "epochs": epochs, "learning_rate": learning_rate}
    knobs |= {"batch_size": batch_size, "max_length": max_length, "metric": metric}
    if budget is not None:
        knobs["max_seconds"] = seconds(budget)
    return knobs


def check_metric(metric: str, spec: Any, known: Sequence[str]) -> None:
    """Refuse a metric that the rows don't have.

    Args:
        known: those that they have.

    Raises:
        UsageError: it is of two labels and there are more, or of rows of another form.
    """
    if metric in known:
        return
    if metric not in spec.metrics:
        raise unknown("metric", metric, known)
    near = next((name for name in known if name.startswith(f"{metric}_")), known[0])
    raise UsageError("api.metric_of_rows", metric=metric, near=near, known=", ".join(known))


def seconds(text: str | float) -> float:
    """Read a time as people write it; a number alone is minutes.

    Raises:
        UsageError: it isn't one, or none at all.

    >>> seconds("90s"), seconds("1h30m"), seconds("10"), seconds(10)
    (90.0, 5400.0, 600.0, 600.0)
    """
    text = str(text)
    said = f"{text}m" if re.fullmatch(r"\d+(\.\d+)?", text) else text.strip()
    parts = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?", said)
    total = sum(float(p or 0) * scale for p, scale in zip(parts.groups(), (3600, 60, 1), strict=True)) if parts else 0.0
    if not total:
        raise UsageError("api.bad_time", value=text)
    return total


def further(
    method: str, spec: Any, precision: str = "auto", packing: bool = False, **given: float | None
) -> dict[str, Any]:
    """The knobs of a training that were given beside the plainest ones.

    Args:
        method: as it was asked for; ``auto`` becomes one that has the knob.

    Raises:
        UsageError: out of its range, of a method that hasn't got it, or of none that the task can be trained with.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if packing and not spec.packs:
        raise UsageError("train.no_packing", task=spec.name)
    found: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name, value in found.items():
        low, high = RANGES[name]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high or (name in WHOLE and value % 1):
            raise UsageError("api.out_of_range", name=name, value=value, low=low, high=high)
        if name in OWNERS and not set(OWNERS[name]) & set(_possible(method, spec.methods)):
            raise UsageError("train.not_of_method", name=name, method=method, known=", ".join(OWNERS[name]))
    if method == "auto":
        _of_one(found, spec.methods)
    found |= {"precision": precision} if precision != "auto" else {}
    return found | ({"packing": True} if packing else {})


def _possible(method: str, methods: Sequence[str]) -> Sequence[str]:
    return methods if method == "auto" else (method,)


def _of_one(found: dict[str, Any], methods: Sequence[str]) -> None:
    """Settings that no single method has together say nothing of which one is meant."""
    own = [name for name in found if name in OWNERS]
    if own and not set.intersection(*(set(OWNERS[name]) & set(methods) for name in own)):
        raise UsageError("train.not_together", names=", ".join(own))
