"""What a dry run tells beside the plan itself: which columns and rows, how long it took before, what it writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from modelnook.store import Store
from modelnook.store.runs import seconds
from modelnook.tune import DEFAULT

__all__ = ["seconds_before", "told"]

_FLOAT = 4
_COPIES = {"full": 8, "few-shot": 8}
"""Method -> copies of the weights on disk at most: two checkpoints of weights and two moments, the best, the model."""

_LIKE = 4
"""A run of less than a fourth of the work says more of starting up than of training."""

_SPREAD = (0.8, 1.25)


def told(planned: Any, store: Store, base: Any, table: Any, held_out: int, labels: Sequence[str]) -> Any:
    """The plan with what a person checks before they wait for it.

    Args:
        base: the resolved model to start from; None where a method needs none.
        held_out: how many rows validate.
    """
    weights = (base.source.info(base.ref).parameters or 0) * _FLOAT if base else 0
    return replace(
        planned,
        columns=table.columns.to_dict(),
        classes=len(labels),
        held_out=held_out,
        seconds=seconds_before(store, str(base.ref), planned) if base else None,
        disk=weights * _COPIES.get(planned.method, 2),
        disk_free=shutil.disk_usage(store.home).free,
    )


def seconds_before(store: Store, base: str, planned: Any) -> tuple[float, float] | None:
    """From and to, by what was trained on this machine with the same base, method and length; None without any.

    That is finished runs, and the default configurations of tuning runs.
    """
    paces = []
    for said, took in (*_trained(store, base), *_tuned(store, base)):
        work = (said.get("rows") or 0) * (said.get("epochs") or 0)
        alike = all(said.get(name) == getattr(planned, name) for name in ("method", "max_length"))
        if took > 0 and work and alike and work * _LIKE >= planned.rows * planned.epochs:
            paces.append(took / work)
    if not paces:
        return None
    work = planned.rows * planned.epochs
    return min(paces) * work * _SPREAD[0], max(paces) * work * _SPREAD[1]


def _trained(store: Store, base: str) -> Iterator[tuple[dict[str, Any], float]]:
    """Of each training run what it was, and its seconds."""
    for run in store.index.runs(state="finished", kind="finetune", model=base, limit=50):
        yield run.params, (seconds(run.ended) or 0) - (seconds(run.started) or 0)


def _tuned(store: Store, base: str) -> Iterator[tuple[dict[str, Any], float]]:
    """The same of the default configurations that tuning runs began with."""
    for run in store.index.runs(kind="tune", model=base, limit=50):
        first: dict[str, Any] = next(iter((run.report or {}).get("trials") or ()), {})
        if first.get("number") == DEFAULT and not first.get("cut"):
            rows = len(store.run(run.id).split().get("train") or ())
            yield {**first["knobs"], "rows": rows}, first["seconds"]
