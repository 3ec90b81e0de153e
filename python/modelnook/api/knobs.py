"""The settings under the one dial: what a person gives of them is checked before a job is started for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelnook.domain.errors import UsageError, unknown
from modelnook.domain.knobs import OWNERS

__all__ = ["PRECISIONS", "further"]

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
