"""Where a model's layers stand, one on the other."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

__all__ = ["layer_stack"]


def layer_stack(model: Any) -> nn.ModuleList | None:
    """The body's layers: its longest list of modules; convolutions that only prepare a sound don't count.

    A list of one counts where it holds matrices and none is longer: a single layer, or one that is passed many times.
    """
    lists = [m for m in model.base_model.modules() if isinstance(m, nn.ModuleList)]
    several = [m for m in lists if len(m) > 1] or [m for m in lists if len(m) == 1 and _multiplies(m)]
    return max(several, key=lambda m: (_multiplies(m), len(m)), default=None)


def _multiplies(layers: nn.ModuleList) -> bool:
    return any(isinstance(part, (nn.Linear, Conv1D)) for part in layers.modules())
