"""The model that a training starts from: read from the disk, or copied where several start from the same."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelnook.finetune.shared import Shared
from modelnook.measure.memory import free_here
from modelnook.tasks.base import Task

__all__ = ["loaded"]

MOST_MEMORY = 0.25
"""Share of the free memory that the weights to copy from may take; above it each training reads them again."""


@dataclass(frozen=True, slots=True)
class _Base:
    """A loaded model that nothing trains, and the random numbers' state after it was loaded: a new head drew some."""

    task: Task
    model: Any
    processor: Any
    random: Any


def loaded(shared: Shared, task: Task, path: Path, key: Hashable) -> tuple[Task, Any, Any]:
    """``(task, model, processor)``: the model is the caller's to change, and what the task holds of it is its own.

    Args:
        key: what a new head depends on beside the folder, e.g. the seed and the labels.
    """
    import torch

    if not shared.models:
        return task, *task.load(str(path))
    base = shared.once(("model", path, key), lambda: _base(task, path))
    if base is None:
        return task, *task.load(str(path))
    try:
        # Together: a task may keep a part of the model. The processor is the same for all.
        own, model = copy.deepcopy((base.task, base.model), {id(base.processor): base.processor})
    except RuntimeError:
        # A weight that is computed from others, as weight norm's: torch doesn't copy it.
        return task, *task.load(str(path))
    torch.set_rng_state(base.random)
    return own, model, base.processor


def _base(task: Task, path: Path) -> _Base | None:
    """The model to copy from; None where memory is short."""
    import torch

    random = torch.get_rng_state()
    held = copy.copy(task)
    model, processor = held.load(str(path))
    left = free_here()
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    if left is not None and size > MOST_MEMORY * (left + size):
        torch.set_rng_state(random)
        return None
    return _Base(held, model, processor, torch.get_rng_state())
