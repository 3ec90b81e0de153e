"""How long a training is going to take by those that this machine has done, and the disk that is left for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from modelnook.domain.run import RunRecord
from modelnook.finetune.costs import STARTING, earliest
from modelnook.finetune.plan import Plan
from modelnook.store import Store
from modelnook.store.runs import seconds

__all__ = ["estimated", "seconds_before"]

LIKE = 4
"""A run of less than a fourth of the work says more of starting up than of training."""

SPREAD = (0.8, 1.25)

IMPORTS = 6.0
"""Seconds that a process takes for its imports where it isn't forked from a warm one."""

OTHERS = (0.6, 1.7)
"""How far off the time may be by trainings of another kind: another base, method or length."""


def estimated(planned: Plan, store: Store, base: str, budget: float | None = None) -> Plan:
    """The plan with the disk that is free and, where this machine has trained before, a nearer time.

    Args:
        base: the reference of the model to start from.
        budget: seconds of training that there are at most.
    """
    planned = replace(planned, disk_free=shutil.disk_usage(store.home).free)
    found = [seconds for took, times in _alike(store, base, planned) for seconds in _scaled(took, times)]
    if found:
        low, high = min(found) * SPREAD[0], max(found) * SPREAD[1]
        # Those may have been forked from a warm process where this one isn't, or the other way round.
        low = max(STARTING[0], low * earliest(planned.epochs, planned.patience) - IMPORTS)
        return replace(planned, seconds=_within((low, high + IMPORTS), budget), known=True)
    if planned.expected is None:
        return planned
    off = [ratio for ratio in _ratios(store) if ratio > 0]
    if not off:
        return planned
    low = planned.expected * min(off) * OTHERS[0] * earliest(planned.epochs, planned.patience) + STARTING[0]
    high = planned.expected * max(off) * OTHERS[1] + STARTING[1]
    return replace(planned, seconds=_within((low, high), budget))


def with_unlabelled(planned: Plan, offered: int, budget: float | None = None) -> Plan:
    """The plan of a run that trains twice: on the rows, then on those that it labelled as well, all of them or none.

    Args:
        budget: see :func:`estimated`; both trainings share it.
    """
    if planned.seconds is None:
        return planned
    low, high = planned.seconds
    return replace(planned, seconds=_within((low, high * (2 + offered / max(1, planned.rows))), budget))


def seconds_before(store: Store, base: str, planned: Any) -> tuple[float, float] | None:
    """From and to, by the finished runs of this machine with the same base, method and length; None without any."""
    found = [took * times for took, times in _alike(store, base, planned)]
    return (min(found) * SPREAD[0], max(found) * SPREAD[1]) if found else None


def _alike(store: Store, base: str, planned: Any) -> Iterator[tuple[float, float]]:
    """``(seconds that a run took, how many times its work is planned)``, of those with base, method and length."""
    wanted = planned.rows * planned.epochs
    for run in _telling(store, model=base, limit=50):
        said, took = run.params, _took(run)
        if took <= 0 or any(said.get(name) != getattr(planned, name) for name in ("method", "max_length")):
            continue
        work = (said.get("rows") or 0) * _epochs_done(store, run)
        if work and work * LIKE >= wanted:
            yield took, wanted / work


def _scaled(took: float, times: float) -> tuple[float, float]:
    """Seconds of so many times the work, of which starting up is no part: it took little of the time, or much."""
    first, second = (start + (took - start) * times for start in (min(start, took) for start in STARTING))
    return first, second


def _ratios(store: Store) -> Iterator[float]:
    """Of trainings that weren't cut short: how long they took as a multiple of what arithmetic said."""
    for run in _telling(store, limit=20):
        said = run.plan or {}
        expected = said.get("expected")
        if expected and expected > STARTING[0] and not said.get("patience") and not run.params.get("max_seconds"):
            yield (_took(run) - STARTING[0]) / expected


def _telling(store: Store, **those: Any) -> Iterator[RunRecord]:
    """Trainings whose time tells something: of this machine, done in one go, of one round."""
    for run in store.index.runs(state="finished", kind="finetune", **those):
        # The time of a run that went on later holds the time between.
        if run.origin == "local" and run.epoch <= 1 and "unlabelled" not in (run.report or {}):
            yield run


def _epochs_done(store: Store, run: RunRecord) -> float:
    """Those that it came to: patience or a budget may have ended it before the last one."""
    points = store.run(run.id).series.read("epoch")
    return points[-1] if points else 0.0


def _took(run: RunRecord) -> float:
    return (seconds(run.ended) or 0.0) - (seconds(run.started) or 0.0)


def _within(found: tuple[float, float], budget: float | None) -> tuple[float, float]:
    """Training ends with the budget; what comes after it doesn't."""
    low, high = found
    return (low, high) if budget is None else (min(low, budget), min(high, budget + STARTING[1]))
