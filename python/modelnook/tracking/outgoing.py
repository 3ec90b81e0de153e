"""What of a run may leave this machine: numbers, names of models, the data's fingerprint; no texts, labels, folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.domain.model import is_path
from modelnook.domain.run import RunRecord

__all__ = ["lineage", "plain", "summary"]

_WORDS = ("backend", "method", "metric", "precision", "pruner", "scheduler", "size", "to")


def plain(params: dict[str, Any]) -> dict[str, Any]:
    """Settings: numbers, and words of our own choice.

    >>> plain({"epochs": 3, "method": "lora", "reason": "many words", "labels": ["spam"], "lr": None})
    {'epochs': 3, 'method': 'lora'}
    """
    return {
        name: value
        for name, value in params.items()
        if isinstance(value, (bool, int, float)) or (name in _WORDS and isinstance(value, str))
    }


def lineage(record: RunRecord) -> dict[str, Any]:
    """Where a run came from and what it made."""
    data = record.data or {}
    said = {
        "base": _name(record.base),
        "model": _name(record.model),
        "task": record.task,
        "method": record.method,
        "kind": record.kind,
        "primary_metric": record.primary_metric,
        "data": {"fingerprint": data.get("fingerprint"), "rows": data.get("rows")} if data else None,
        "modelnook": record.version,
    }
    return {name: value for name, value in said.items() if value}


def summary(record: RunRecord) -> dict[str, Any]:
    """The final metrics under their names, with their intervals."""
    bounds = {
        f"{name}_{end}": pair[at] for name, pair in record.intervals.items() for at, end in enumerate(("low", "high"))
    }
    return {**record.metrics, **bounds}


def _name(ref: str | None) -> str | None:
    """A reference without the folders of this machine."""
    return f"path:{Path(ref).name}" if ref and is_path(ref) else ref
