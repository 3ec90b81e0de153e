"""How precisely to compute: float32, autocast, or bfloat16 copies of float32 weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from modelnook.training.device import native_bf16, rng_state, set_rng_state
from modelnook.training.halves import Halves

__all__ = ["Precision"]

Tensors = dict[str, torch.Tensor]


class Precision:
    """``name`` is ``fp32`` or ``bf16``. On a CPU, bf16 means :class:`Halves`; elsewhere, and where a model doesn't
    take them, autocast.

    Args:
        wanted: ``auto`` (bf16 where the device multiplies it natively and the model's layers bear it), ``bf16`` or
            ``fp32``.
        probe: computes a loss of a few rows; it fails where a model mixes precisions.
    """

    def __init__(self, model: nn.Module, device: torch.device, wanted: str, probe: Callable[[], object]) -> None:
        self.device = device
        half = native_bf16(device.type) and _bears_half(model, device)
        self.name = ("bf16" if half else "fp32") if wanted == "auto" else wanted
        self.halves: Halves | None = None
        if self.name == "bf16" and device.type == "cpu":
            self.halves = _halves(model, device, probe)

    def context(self) -> AbstractContextManager[object]:
        """To compute losses and outputs in."""
        if self.name == "fp32" or self.halves is not None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def state(self, tensors: Tensors) -> Tensors:
        """A state of the model with its float32 weights."""
        return tensors if self.halves is None else self.halves.state(tensors)

    def load(self, tensors: Tensors) -> None:
        """After a state was put back into the model: the same for the float32 weights."""
        if self.halves is not None:
            self.halves.load(tensors)

    def restore(self) -> None:
        """Leave the model in float32."""
        if self.halves is not None:
            self.halves.restore()
            self.halves = None


def _bears_half(model: nn.Module, device: torch.device) -> bool:
    """Whether gradients in bfloat16 can be relied on: on a CPU, those of a convolution over time now and then hold NaN.

    Seen with torch 2.13 and its oneDNN 3.12 in wav2vec 2.0's first layers, the loss being finite: after 15 to 57 steps,
    another number each time; never in 300 steps without oneDNN.
    """
    return device.type != "cpu" or not any(isinstance(module, nn.Conv1d) for module in model.modules())


def _halves(model: nn.Module, device: torch.device, probe: Callable[[], object]) -> Halves | None:
    random = rng_state(device)
    halves = Halves(model)
    try:
        with torch.no_grad():
            probe()
    except RuntimeError:
        halves.restore()
        return None
    finally:
        set_rng_state(device, random)
    return halves
