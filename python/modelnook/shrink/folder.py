"""Reading a model to make it smaller, and writing it back whole: float weights as they were stored, or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from modelnook.catalog.folder import tensors_of
from modelnook.domain.errors import StoreError, UnsupportedError
from modelnook.runtime.folder import formats, quantized
from modelnook.runtime.transformers import load_trained
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
    if task.learnt:
        model.config.modelnook_learnt = task.learnt
    save_pretrained(model, processor, folder)


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder beside ``target`` that takes its name when the block ends well, and is removed when it doesn't.

    Raises:
        StoreError: the disk is full or not writable.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        if target.exists():
            shutil.rmtree(target)
        part.rename(target)
    except OSError as error:
        raise StoreError("shrink.not_saved", path=target, error=error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
