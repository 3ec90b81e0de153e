"""The settings that only some methods of training have: whose they are, and what they are where nobody says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["LORA", "OWNERS", "own_knobs"]

LORA = ("lora", "dora", "qlora", "rslora")
"""LoRA and its kin, which train adapters of a rank."""

OWNERS: Mapping[str, tuple[str, ...]] = {
    "rank": LORA,
    "alpha": LORA,
    "dropout": LORA,
    "layers": ("last-k",),
    "mix": ("few-shot",),
    "temperature": ("few-shot",),
}
"""A setting -> the methods that have it; ``auto`` is then the first of them that the task has."""

_RANK, _TIMES, _DROPOUT = 16, 2, 0.05
_RANKS = {"rslora": (64, 1)}
"""Method -> rank, and alpha as a multiple of it: scaled by alpha / √rank, thick matrices pay."""
_OTHERS: Mapping[str, Mapping[str, Any]] = {
    "few-shot": {"mix": 0.5, "temperature": 0.3},
    "head": {"layers": 0},
    "last-k": {"layers": 2},
}


def own_knobs(method: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A method's own settings: what is ``given`` of them, and what it takes for the others. ``alpha`` goes with rank.

    >>> own_knobs("lora", {"rank": 8, "epochs": 2}), own_knobs("rslora"), own_knobs("full")
    ({'rank': 8, 'alpha': 16, 'dropout': 0.05}, {'rank': 64, 'alpha': 64, 'dropout': 0.05}, {})
    """
    said = {n: v for n, v in (given or {}).items() if v is not None and method in OWNERS.get(n, ())}
    if method not in LORA:
        return {**_OTHERS.get(method, {}), **said}
    rank, times = _RANKS.get(method, (_RANK, _TIMES))
    rank = int(said.get("rank", rank))
    return {"rank": rank, "alpha": times * rank, "dropout": _DROPOUT, **said}
