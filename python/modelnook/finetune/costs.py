"""What each method would take of time, memory and disk, by arithmetic alone. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelnook.finetune.averaged import METHODS
from modelnook.measure.effort import EVALUATED, SAFE, Batch, Shape, bytes_of, work_of
from modelnook.measure.memory import Need

__all__ = ["ROOM", "STARTING", "Costs", "disk", "earliest", "partners"]

GUESSED = (0.45, 2.2)
"""How far off the time by arithmetic alone may be."""

STARTING = (1.0, 14.0)
"""Seconds that a job takes beside its training: forked from a warm process, and from a cold one on a slow disk."""

ROOM = 0.8
"""The share of the free memory up to which a method is chosen."""

COPIES = {"full": 8, "few-shot": 8}
"""Method -> copies of the weights on disk at most: two checkpoints of weights and two moments, the best, the model."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a training of these rows takes.

    Args:
        shape: of the model; None where only its size is known.
        passes: a method's epochs.
        own: the settings of methods that were given.
        pace: operations a second; None: nothing is said of time.
        on_cpu: whether the memory is the machine's, whose process is counted in.
        averaged: whether the model is one that some methods put a layer on, see :mod:`modelnook.finetune.averaged`.
    """

    shape: Shape | None
    batch: Batch
    passes: Callable[[str], float]
    own: Mapping[str, Any]
    pace: float | None
    on_cpu: bool = True
    averaged: bool = False

    @property
    def timed(self) -> bool:
        """Whether :meth:`seconds` can be told."""
        return self.shape is not None and self.pace is not None

    def seconds(self, method: str) -> float:
        """About how long the training takes, what comes before and after it left out."""
        shape = self._shape(method)
        assert shape is not None
        assert self.pace is not None
        pairs = partners(self.batch.rows) if method == "few-shot" else 1
        work = work_of(method, shape, self.batch, self.passes(method), knobs=self.own, pairs=pairs)
        return work.seconds(self.pace)

    def memory(self, method: str, rough: Need) -> int:
        """Bytes at the peak; ``rough`` is by the model's size alone."""
        shape = self._shape(method)
        if shape is None or not self.on_cpu or method == "qlora":
            return rough.of(method)
        return bytes_of(method, shape, self.batch, knobs=self.own, saves=self.passes(method) > 1)

    def _shape(self, method: str) -> Shape | None:
        return self.shape.deeper if self.shape and self.averaged and method in METHODS else self.shape

    def at_once(self, method: str, rough: Need, free: int | None, share: float = SAFE) -> tuple[Batch, int]:
        """``(what goes through the model at once, bytes at the peak)``: the batch, or parts that memory holds.

        Rows that are trained on and those that validate are made fewer, whichever take more. Of a CPU alone: there no
        error says that memory ran out, the system kills the process. A GPU's does.

        Args:
            share: of the free memory, that is taken at most.
        """
        batch, memory = self.batch, self.memory(method, rough)
        if self.shape is None or not self.on_cpu or free is None:
            return batch, memory
        checks = min(batch.checks, EVALUATED * batch.longest)
        while memory > share * free:
            parts = [replace(batch, size=batch.size // 2)] if batch.size > 1 else []
            parts += [replace(batch, checks=checks // 2)] if checks > batch.longest else []
            found = [(replace(self, batch=part).memory(method, rough), part) for part in parts]
            least, part = min(found, key=lambda one: one[0], default=(memory, batch))
            if least >= memory:
                break
            memory, batch, checks = least, part, min(checks, part.checks)
        return batch, memory

    def need(self, rough: Need, free: int | None) -> Need:
        """``rough`` as near as it can be told; of ``full`` in parts that memory holds, as it would be trained."""
        _, full = self.at_once("full", rough, free, ROOM)
        return replace(rough, lora=self.memory("lora", rough), full=full)

    def range(self, method: str, patience: int, budget: float | None) -> tuple[float, float] | None:
        """Seconds from and to: arithmetic may be off, a process may be warm or cold, a training may end early."""
        if not self.timed:
            return None
        low, high = (self.seconds(method) * off for off in GUESSED)
        if budget is not None:
            low, high = min(low, budget), min(high, budget)
        return low * earliest(self.passes(method), patience) + STARTING[0], high + STARTING[1]


def disk(method: str, parameters: int) -> int:
    """Bytes that a training writes at most."""
    return 4 * parameters * COPIES.get(method, 2)


def earliest(passes: float, patience: int) -> float:
    """The share of the epochs after which patience may be at its end."""
    return min(1.0, (patience + 1) / passes) if patience and passes else 1.0


def partners(rows: int) -> int:
    """How often few-shot training pairs each row in an epoch: a thousand pairs, where there are fewer rows."""
    return max(1, min(20, math.ceil(1000 / rows)))
