"""AdamW as it should be: fused, no decay for biases and norms, linear warm-up and decay, state by parameter name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from modelnook.training.base import TrainConfig

__all__ = ["Optimizer", "decay_left", "rate"]


def rate(step: int, total: int, warmup: float) -> float:
    """The share of the peak learning rate at a step (0-based): up over ``warmup``'s steps, then down to zero.

    >>> [round(rate(s, 10, 0.2), 2) for s in (0, 1, 2, 9)]
    [0.5, 1.0, 1.0, 0.12]
    """
    up = round(total * warmup)
    if step < up:
        return (step + 1) / up
    return (total - step) / max(1, total - up)


def decay_left(config: TrainConfig, total: int, steps: int) -> float:
    """What weight decay leaves of a weight that has no gradient after some steps."""
    if not config.weight_decay:
        return 1.0
    rates = (config.learning_rate * rate(step, total, config.warmup) for step in range(steps))
    return math.prod(1 - r * config.weight_decay for r in rates)


class Optimizer:
    """AdamW over the parameters that need gradients.

    Args:
        total: optimizer steps of the whole run; ``warmup`` is a share of them.
        masters: float32 weights by name of parameters that are rounded copies of them: those are moved, and the
            copies follow.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: float,
        weight_decay: float,
        warmup: float,
        clip: float,
        total: int,
        masters: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self.peak, self.warmup, self.clip, self.total = learning_rate, warmup, clip, total
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.moved: dict[str, torch.Tensor] = {name: (masters or {}).get(name, p) for name, p in trained.items()}
        self.copied = [(p, self.moved[name]) for name, p in trained.items() if self.moved[name] is not p]
        # One buffer each for the copies' gradients in float32: taken once, not in every step.
        self.buffers = [torch.empty_like(master) for _, master in self.copied]
        matrices = [p for p in self.moved.values() if p.ndim > 1]
        rest = [p for p in self.moved.values() if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
        kinds = {p.device.type for p in self.moved.values()}
        fused = kinds <= {"cpu", "cuda"}
        self.on_cpu = kinds == {"cpu"}
        self.adamw: Any = torch.optim.AdamW([g for g in groups if g["params"]], lr=learning_rate, fused=fused)

    def learning_rate(self, step: int) -> float:
        """The rate of a step (0-based)."""
        return self.peak * rate(step, self.total, self.warmup)

    def update(self, step: int) -> None:
        """Clip the gradients, take the step (0-based), forget the gradients."""
        used = self._gather()
        if self.clip > 0:
            self._clip()
        for group in self.adamw.param_groups:
            group["lr"] = self.learning_rate(step)
        self.adamw.step()
        self.adamw.zero_grad(set_to_none=True)
        if used:
            torch._foreach_copy_([p.data for p, _ in used], [master for _, master in used])

    def _gather(self) -> list[tuple[nn.Parameter, torch.Tensor]]:
        """Bring the copies' gradients to their masters; gives the pairs that have one."""
        used = []
        for (parameter, master), buffer in zip(self.copied, self.buffers, strict=True):
            if parameter.grad is not None:
                master.grad = buffer.copy_(parameter.grad)
                parameter.grad = None
                used.append((parameter, master))
        return used

    def _clip(self) -> None:
        """Bring the norm of all gradients down to the ceiling.

        The fused kernel of a CPU divides by a scale as it reads a gradient: that saves a pass over memory.
        """
        grads = [p.grad for p in self.moved.values() if p.grad is not None]
        if not self.on_cpu:
            nn.utils.clip_grad_norm_(list(self.moved.values()), self.clip)
            return
        # A dot product with itself runs on all threads, which torch's norm doesn't.
        norm = torch.stack([torch.dot(g.view(-1), g.view(-1)) for g in map(_flat, grads)]).sum().sqrt()
        self.adamw.grad_scale = ((norm + 1e-6) / self.clip).clamp(min=1.0)

    def state(self) -> dict[str, torch.Tensor]:
        """Moments and step counts: ``NAME|exp_avg`` and so on -> tensor."""
        found = {}
        for name, moved in self.moved.items():
            for key, value in self.adamw.state.get(moved, {}).items():
                found[f"{name}|{key}"] = value
        return found

    def load_state(self, tensors: dict[str, torch.Tensor]) -> None:
        """Put :meth:`state`'s tensors back."""
        by_name: dict[str, dict[str, Any]] = {}
        for key, value in tensors.items():
            name, _, what = key.rpartition("|")
            by_name.setdefault(name, {})[what] = value
        for name, moved in self.moved.items():
            if name in by_name:
                self.adamw.state[moved] = {what: value.to(moved.device) for what, value in by_name[name].items()}


def _flat(grad: torch.Tensor) -> torch.Tensor:
    return grad if grad.is_contiguous() else grad.contiguous()
