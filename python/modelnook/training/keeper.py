"""What outlives a step: checkpoints to go on from, and the best weights so far."""

from __future__ import annotations

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

    def weights(self) -> dict[str, torch.Tensor]:
        """What is trained, in float32."""
        return self.precision.state(self.method.trainable_state(self.model))

    def save(self, step: int, meta: dict[str, Any]) -> None:
        """Write a checkpoint, if they are wanted."""
        if self.checkpoints is None:
            return
        state = {f"optimizer|{name}": value for name, value in self.optimizer.state().items()}
        state |= {f"rng|{name}": value for name, value in rng_state(self.device).items()}
        self.checkpoints.save(step, self.weights(), state, meta)

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
