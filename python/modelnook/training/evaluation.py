"""A model's outputs over encoded rows, in their order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from modelnook.tasks.base import Task, in_order
from modelnook.training.batches import eval_batches
from modelnook.training.device import is_out_of_memory

__all__ = ["outputs_of", "take", "to_device"]

TOKENS = 8192
"""Padded tokens of an evaluation batch; halved where memory is short."""


def take(rows: dict[str, list[Any]], index: list[int]) -> dict[str, list[Any]]:
    """Some rows of a table of columns."""
    return {name: [values[i] for i in index] for name, values in rows.items()}


def to_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """A batch's tensors where the model is."""
    if device.type == "cpu":
        return batch
    return {n: v.to(device, non_blocking=True) if isinstance(v, torch.Tensor) else v for n, v in batch.items()}


def outputs_of(
    model: Any,
    task: Task,
    processor: Any,
    rows: dict[str, list[Any]],
    *,
    device: torch.device,
    context: Callable[[], AbstractContextManager[object]] = nullcontext,
    batch_size: int = 64,
    check: bool = False,
    tokens: int = 0,
) -> Any:
    """The task's outputs in the order of the rows, see :meth:`Task.outputs`. The model's training mode is left as is.

    Args:
        context: entered around the model's work, e.g. for autocast.
        check: what :meth:`Task.check` gives, unmerged and with the labels seen.
        tokens: of a batch at most, padding counted; 0: as many as are quick.
    """
    lengths = task.lengths(rows)
    seen = rows if check or task.spec.scored else {name: values for name, values in rows.items() if name != "labels"}
    was_training = model.training
    model.eval()
    tokens = tokens or TOKENS

    def run(index: list[int]) -> Any:
        batch = to_device(task.collate(processor, take(seen, index)), device)
        values = task.check(model, batch) if check else task.outputs(model, batch)
        return values.float().cpu().numpy() if isinstance(values, torch.Tensor) else values

    try:
        while True:
            order = list(eval_batches(lengths, batch_size, tokens))
            try:
                with torch.inference_mode(), context():
                    outputs = in_order([(index, run(index)) for index in order], len(lengths))
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or tokens <= max(lengths):
                    raise
            tokens //= 2
    finally:
        model.train(was_training)
    return outputs if check else task.merge(rows, outputs)
