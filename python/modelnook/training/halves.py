"""bfloat16 copies of the weights for a CPU that multiplies them, with the float32 weights beside them as the masters.

Autocast rounds every weight anew in each step, and every activation between two operations: on small batches that is a
third of the time. Here the model computes with rounded copies, AdamW moves the float32 masters, and the copies are
made once a step. Embedding tables and layer norms stay float32, so sums over many rows lose nothing; what is saved is
the masters.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

__all__ = ["Halves"]

WHOLE = (nn.Embedding, nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
"""Layers whose weights stay float32; their cost is small and their sums are long."""


class Halves:
    """The model in bfloat16 until :meth:`restore`. ``masters`` are the float32 weights by parameter name."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.masters: dict[str, torch.Tensor] = {}
        self.copies: dict[str, nn.Parameter] = {}
        self.hooks: list[Any] = []
        # A table that is the output layer's as well is one parameter: its name is the one that states have it under.
        names = {parameter: name for name, parameter in model.named_parameters()}
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                self.hooks.append(module.register_forward_hook(_halve_output))
            if isinstance(module, WHOLE):
                continue
            for parameter in module.parameters(recurse=False):
                if parameter.dtype == torch.float32:
                    self._halve(names[parameter], parameter)

    def _halve(self, name: str, parameter: nn.Parameter) -> None:
        self.masters[name] = parameter.data
        self.copies[name] = parameter
        parameter.data = parameter.data.to(torch.bfloat16)

    def state(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """A state of the model with the masters in place of their copies."""
        return {name: self.masters.get(name, value) for name, value in tensors.items()}

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Set the masters, and their copies, from a state."""
        for name in self.masters.keys() & tensors.keys():
            self.masters[name].copy_(tensors[name])
            self.copies[name].data.copy_(tensors[name])

    def restore(self) -> None:
        """Make the model float32 again, its weights the masters."""
        for name, parameter in self.copies.items():
            parameter.grad = None
            parameter.data = self.masters[name]
        for hook in self.hooks:
            hook.remove()
        self.masters, self.copies, self.hooks = {}, {}, []


def _halve_output(module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return output.to(torch.bfloat16)
