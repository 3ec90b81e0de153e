"""A model's outputs over encoded rows, in their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelnook.tasks.base import Task
from modelnook.training.batches import eval_batches
from modelnook.training.device import autocast, is_out_of_memory

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
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}


def outputs_of(
    model: Any,
    task: Task,
    tokenizer: Any,
    rows: dict[str, list[Any]],
    *,
    device: torch.device,
    precision: str = "auto",
    batch_size: int = 64,
) -> NDArray[np.float32]:
    """The task's outputs, float32 of shape (rows, …). The model's training mode is left as it was."""
    inputs = {name: values for name, values in rows.items() if name != "labels"}
    lengths = [len(ids) for ids in inputs["input_ids"]]
    was_training = model.training
    model.eval()
    tokens = TOKENS
    try:
        while True:
            try:
                return _run(model, task, tokenizer, inputs, lengths, device, precision, batch_size, tokens)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or tokens <= max(lengths):
                    raise
            tokens //= 2
    finally:
        model.train(was_training)


def _run(
    model: Any,
    task: Task,
    tokenizer: Any,
    inputs: dict[str, list[Any]],
    lengths: list[int],
    device: torch.device,
    precision: str,
    batch_size: int,
    tokens: int,
) -> NDArray[np.float32]:
    found: list[NDArray[np.float32]] = []
    order: list[int] = []
    with torch.inference_mode(), autocast(device, precision):
        for index in eval_batches(lengths, batch_size, tokens):
            batch = to_device(task.collate(tokenizer, take(inputs, index)), device)
            found.append(task.outputs(model, batch).float().cpu().numpy())
            order += index
    together = np.concatenate(found)
    outputs = np.empty_like(together)
    outputs[order] = together
    return outputs
