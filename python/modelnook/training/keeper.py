"""What outlives a step: checkpoints to go on from, and the best weights so far."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from modelnook.domain.event import Emit, Warned
from modelnook.training.base import Trainable
from modelnook.training.checkpoint import Checkpoint, Checkpoints
from modelnook.training.device import rng_state, set_rng_state
from modelnook.training.optimizer import Optimizer
from modelnook.training.precision import Precision

__all__ = ["Best", "Keeper"]

SAVING_SHARE = 0.02
"""Checkpoints may cost this share of the time at most: they come less often where the disk is slow."""

SLOW_DISK = 100e6
"""Bytes a second at which a disk is thought to write until it has been seen to."""


@dataclass
class Best:
    """The best evaluation so far. ``outputs`` is None where it was made before a resume; ``waited`` counts the
    evaluations since."""

    step: int
    metrics: dict[str, float]
    outputs: Any = None
    waited: int = 0


class Keeper:
    """Saves and brings back: trained weights in float32, the optimizer's state, the random generators.

    Without ``checkpoints`` the best weights are kept in memory.
    """

    def __init__(
        self,
        model: Any,
        method: Trainable,
        optimizer: Optimizer,
        precision: Precision,
        checkpoints: Checkpoints | None,
        emit: Emit,
    ) -> None:
        self.model, self.method, self.optimizer, self.precision = model, method, optimizer, precision
        self.checkpoints, self.emit = checkpoints, emit
        self.device = precision.device
        self.kept: Checkpoint | None = None
        self.saved = time.perf_counter()

    def weights(self) -> dict[str, torch.Tensor]:
        """What is trained, in float32."""
        return self.precision.state(self.method.trainable_state(self.model))

    def due(self, every: float) -> bool:
        """Whether it is time for a checkpoint, ``every`` so many seconds; 0: never in mid-training."""
        if self.checkpoints is None or every <= 0:
            return False
        return time.perf_counter() - self.saved >= max(every, self.checkpoints.last_cost_s / SAVING_SHARE)

    def affordable(self, every: float) -> bool:
        """Whether one of a training that has ended costs little beside what would be done again without it."""
        if self.checkpoints is None or every <= 0:
            return False
        size = sum(weight.numel() * weight.element_size() for weight in self.weights().values())
        cost = self.checkpoints.last_cost_s or size / SLOW_DISK
        return time.perf_counter() - self.saved >= cost / SAVING_SHARE

    def save(self, step: int, meta: dict[str, Any], *, goes_on: bool = True) -> None:
        """Write a checkpoint, if they are wanted; without the optimizer's state where nothing is trained any more."""
        if self.checkpoints is None:
            return
        state = {f"rng|{name}": value for name, value in rng_state(self.device).items()}
        if goes_on:
            state |= {f"optimizer|{name}": value for name, value in self.optimizer.state().items()}
        self.checkpoints.save(step, self.weights(), state, meta)
        self.saved = time.perf_counter()

    def resume(self, expected: dict[str, Any]) -> Checkpoint | None:
        """Put the newest checkpoint back and give it; None where there is none, or one of another run.

        Args:
            expected: what its meta must say, e.g. the number of rows.
        """
        found = self.checkpoints.latest() if self.checkpoints is not None else None
        if found is None:
            return None
        if any(found.meta.get(name) != value for name, value in expected.items()):
            self.emit(Warned.of("train.checkpoint_other"))
            return None
        self._load(found.weights)
        parts: dict[str, dict[str, torch.Tensor]] = {"optimizer": {}, "rng": {}}
        for key, value in found.state.items():
            part, _, name = key.partition("|")
            parts[part][name] = value
        self.optimizer.load_state(parts["optimizer"])
        set_rng_state(self.device, parts["rng"])
        return found

    def save_best(self, step: int, metrics: dict[str, float]) -> None:
        """Keep the weights of now as the best."""
        weights, meta = self.weights(), {"step": step, "metrics": metrics}
        if self.checkpoints is not None:
            self.checkpoints.save_best(step, weights, meta)
        else:
            # Beside the model, not with it: an accelerator's memory holds what is trained.
            held = {name: value.detach().to("cpu", copy=True) for name, value in weights.items()}
            self.kept = Checkpoint(step, held, {}, meta)

    def load_best(self, step: int) -> Checkpoint | None:
        """Put the best weights back; None, and a warning, where the disk has lost them."""
        found = self.kept if self.checkpoints is None else self.checkpoints.best()
        if found is None:
            self.emit(Warned.of("train.best_lost", step=step))
            return None
        self._load(found.weights)
        return found

    def _load(self, weights: dict[str, torch.Tensor]) -> None:
        self.method.load_trainable(self.model, weights)
        self.precision.load(weights)
