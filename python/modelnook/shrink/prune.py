"""Layer dropping by measured importance.

Each layer stands aside in turn and the loss on the person's rows is measured; the one that is missed least goes, and of
those that are left each is tried again (the greedy order of Fan et al. 2020, arXiv:1909.11556, section 4, and Sajjad et
al. 2023, arXiv:2004.03844, with the loss in place of a fixed rule).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modelnook.domain.errors import UsageError
from modelnook.domain.event import Emit, Progress
from modelnook.runtime.batches import room
from modelnook.runtime.folder import max_length
from modelnook.settings import current
from modelnook.shrink.folder import read
from modelnook.shrink.layers import Stack, check_count, save
from modelnook.training.batches import eval_batches
from modelnook.training.evaluation import TOKENS, outputs_of, take

__all__ = ["Dropped", "Pruner", "wanted"]

ROWS = 400
"""Rows by which layers are ranked; a seeded sample of more."""

SEED = 11

_ASKED = re.compile(r"\d+|\d+(\.\d+)?%")

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A layer's number, counted from 0, and the loss (without labels: the outputs' distance) once it was gone."""

    layer: int
    loss: float


def wanted(said: str, count: int) -> int | None:
    """How many layers stay: a number, a share of them, or None for ``auto``.

    Raises:
        UsageError: none of these, or no fewer than there are.

    >>> wanted("4", 6), wanted("50%", 6), wanted("auto", 6)
    (4, 3, None)
    """
    if said == "auto":
        return None
    if not _ASKED.fullmatch(said):
        raise UsageError("shrink.bad_layers", layers=said)
    layers = max(1, round(float(said[:-1]) / 100 * count)) if said.endswith("%") else int(said)
    check_count(layers, count)
    return layers


class Pruner:
    """One model, whose layers are dropped in the order in which they are missed least.

    Args:
        source: its folder.
        columns: role -> values to measure on; without the task's targets the original's outputs are the measure.

    Raises:
        UnsupportedError: quantized, or no one stack of layers.
    """

    def __init__(
        self, source: Path, task: str, columns: Columns, *, emit: Emit, stop: Callable[[], bool] = lambda: False
    ) -> None:
        emit(Progress("loading"))
        self.source, self.emit, self.stop = source, emit, stop
        torch.set_num_threads(current().threads)
        self.heavy, self.model, self.processor = read(source, task, "prune")
        self.stack = Stack(self.model)
        self.count = len(self.stack.whole)
        self.length = max_length(source)
        left = room(source)()
        self.tokens = TOKENS if left is None else max(1, min(TOKENS, left))
        """Of a batch at most, as memory holds: the same for all, so that layers are compared alike."""
        self.columns = columns
        sample = _sample(columns)
        self.rows = self.heavy.encode(self.processor, sample, self.length)
        spec = self.heavy.spec()
        labelled = any(all(role in columns for role in form) for form in spec.shapes())
        self.outputs_before = None if labelled else self._outputs(self.rows)
        self.dropped: list[Dropped] = []
        self.kept = list(range(self.count))
        self._encoded: Any = None

    def drop(self) -> Dropped | None:
        """Let the layer go that is missed least; None after a stop, or where none can go."""
        losses: dict[int, float] = {}
        for layer in self.kept if len(self.kept) > 1 else ():
            left = [at for at in self.kept if at != layer]
            if self.stop():
                return None
            self.emit(Progress("pruning", len(losses), len(self.kept)))
            if self.stack.fits(left):
                self.stack.keep(left)
                losses[layer] = self._loss()
        if not losses:
            return None
        least = min(losses, key=losses.__getitem__)
        self.kept.remove(least)
        self.dropped.append(Dropped(least, losses[least]))
        return self.dropped[-1]

    def places(self, layers: int) -> list[int]:
        """Which layers are left where there are so many."""
        gone = {one.layer for one in self.dropped[: self.count - layers]}
        return [at for at in range(self.count) if at not in gone]

    def outputs(self, layers: int) -> Any:
        """The model's outputs for all rows with so many layers left."""
        self.stack.keep(self.places(layers))
        if self._encoded is None:
            self._encoded = self.heavy.encode(self.processor, self.columns, self.length)
        return self._outputs(self._encoded)

    def write(self, layers: int, target: Path) -> None:
        """Write the model with so many layers; see :func:`modelnook.shrink.layers.save`."""
        self.stack.keep(self.places(layers))
        save(self.source, target, self.heavy, self.model, self.processor)
        # Stored in fewer bits it was written in them.
        self.model.float()

    def _outputs(self, rows: dict[str, list[Any]]) -> Any:
        cpu = torch.device("cpu")
        return outputs_of(self.model, self.heavy, self.processor, rows, device=cpu, tokens=self.tokens)

    def _loss(self) -> float:
        if self.outputs_before is not None:
            pairs = zip(self.outputs_before, self._outputs(self.rows), strict=True)
            return float(np.mean([np.square(np.asarray(a) - np.asarray(b)).mean() for a, b in pairs]))
        total = weight = 0.0
        with torch.inference_mode():
            for index in eval_batches(self.heavy.lengths(self.rows), 64, self.tokens):
                part = take(self.rows, index)
                share = self.heavy.weight(part)
                total += share * float(self.heavy.loss(self.model, self.heavy.collate(self.processor, part)))
                weight += share
        return total / max(weight, 1e-9)


def _sample(columns: Columns) -> dict[str, list[Any]]:
    count = len(next(iter(columns.values())))
    index = sorted(random.Random(SEED).sample(range(count), min(ROWS, count)))
    return {role: [values[at] for at in index] for role, values in columns.items()}
