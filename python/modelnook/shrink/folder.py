"""Reading a model to make it smaller, and writing it back whole: float weights as they were stored, or nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from modelnook.catalog.folder import tensors_of
from modelnook.convert import folder as convert
from modelnook.domain.errors import UnsupportedError
from modelnook.runtime.folder import formats, limit, quantized
from modelnook.runtime.transformers import load_trained
from modelnook.tasks.dense import carry
from modelnook.tasks.pooling import kept
from modelnook.tasks.pretrained_heavy import save_pretrained

__all__ = ["read", "refuse", "staged", "write"]

_STORED = {"F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}


def refuse(source: Path, step: str) -> None:
    """Raise UnsupportedError for a folder whose weights can't be taken apart: quantized, or a program."""
    how = quantized(source)
    if how:
        raise UnsupportedError("shrink.already", step=step, path=source, how=how)
    if "safetensors" not in formats(source):
        raise UnsupportedError("shrink.no_weights", step=step, path=source, found=", ".join(formats(source)) or "-")


def read(source: Path, task: str, step: str) -> tuple[Any, Any, Any]:
    """``(task, model, processor)``, the model in eval mode on the CPU, in float32.

    Raises:
        UnsupportedError: see :func:`refuse` and :func:`~modelnook.runtime.transformers.load_trained`.
    """
    refuse(source, step)
    return load_trained(source, task)


def write(source: Path, folder: Path, task: Any, model: Any, processor: Any) -> None:
    """Write into ``folder`` what was made of ``source``, in the precision in which that stores its weights."""
    kinds = {dtype for _, dtype, _ in tensors_of(source) if dtype.startswith(("F", "BF"))}
    if len(kinds) == 1 and kinds <= _STORED.keys():
        model.to(_STORED[kinds.pop()])
    model.config.modelnook_task = task.spec.name
    learnt = kept(task.spec.name, source) | task.learnt
    if learnt:
        model.config.modelnook_learnt = learnt
    if hasattr(processor, "model_max_length"):
        model.config.modelnook_limit = limit(source)
    save_pretrained(model, processor, folder)
    carry(source, folder)


def staged(target: Path) -> AbstractContextManager[Path]:
    """:func:`modelnook.convert.folder.staged`, which tells of what couldn't be saved in the words of this room."""
    return convert.staged(target, "shrink.not_saved")
