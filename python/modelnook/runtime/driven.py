"""Rows through a task and whatever stands for its model: encoded, planned into batches, answered, put in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelnook.runtime.batches import plan
from modelnook.tasks.answered import answered
from modelnook.tasks.base import in_order

__all__ = ["CHUNK", "Program", "complete", "outputs"]

CHUNK = 8192
"""Rows encoded and sorted at a time: enough for full batches of one length, little beside the model's memory."""


class Program:
    """A traced program in a model's place: called with tensors by name, it gives its outputs by name.

    Args:
        run: named arrays in, the program's outputs in their order out.
        inputs: name -> NumPy dtype of each input, see :func:`complete`.
        outputs: the names of the outputs.
    """

    def __init__(
        self,
        run: Callable[[dict[str, NDArray[Any]]], Sequence[NDArray[Any]]],
        inputs: Mapping[str, Any],
        outputs: Sequence[str],
    ) -> None:
        self._run, self._inputs, self._outputs = run, dict(inputs), list(outputs)

    def __call__(self, **tensors: Any) -> Any:
        """The outputs as tensors; those that are left out are missing in the result too."""
        given = complete(tensors, tuple(self._inputs))
        feed = {name: value.cpu().numpy().astype(self._inputs[name], copy=False) for name, value in given.items()}
        found = self._run(feed)
        return SimpleNamespace(**{n: torch.from_numpy(v) for n, v in zip(self._outputs, found, strict=False)})


def complete(batch: Mapping[str, Any], names: Sequence[str]) -> dict[str, torch.Tensor]:
    """A batch's tensors by these names; what says nothing and was left out (a mask of ones, one kind) is filled in."""
    first = next(value for value in batch.values() if isinstance(value, torch.Tensor))
    filled = {"attention_mask": torch.ones_like, "token_type_ids": torch.zeros_like}
    return {name: batch[name] if name in batch else filled[name](first) for name in names}


def outputs(
    task: Any,
    processor: Any,
    model: Any,
    rows: Sequence[Any],
    max_length: int,
    *,
    batch_size: int | str = 32,
    sort: bool = True,
    device: str = "cpu",
    tokens: Callable[[], int | None] = lambda: None,
) -> Any:
    """See :meth:`modelnook.runtime.base.Runtime.outputs`.

    Args:
        tokens: see :func:`~modelnook.runtime.batches.plan`.
    """
    starts = range(0, max(1, len(rows)), CHUNK)
    found = [
        _chunk(task, processor, model, rows[start : start + CHUNK], max_length, batch_size, sort, device, tokens)
        for start in starts
    ]
    if len(found) == 1:
        return found[0]
    return np.concatenate(found) if isinstance(found[0], np.ndarray) else [row for part in found for row in part]


def _chunk(
    task: Any,
    processor: Any,
    model: Any,
    rows: Sequence[Any],
    max_length: int,
    batch_size: int | str,
    sort: bool,
    device: str,
    tokens: Callable[[], int | None],
) -> Any:
    if not len(rows):
        return np.empty((0, len(task.labels)), dtype=np.float32)
    encoded = task.encode(processor, task.spec().as_columns(rows), max_length)
    lengths = task.lengths(encoded)
    pieces = []
    with torch.inference_mode():
        for batch in plan(lengths, batch_size=batch_size, sort=sort, tokens=tokens):
            feed = task.collate(processor, {name: [v[i] for i in batch] for name, v in encoded.items()})
            feed = {name: v.to(device) if isinstance(v, torch.Tensor) else v for name, v in feed.items()}
            values = task.outputs(model, feed)
            pieces.append((batch, values.float().cpu().numpy() if isinstance(values, torch.Tensor) else values))
            answered(len(batch) * len(rows) / len(lengths))
    return task.merge(encoded, in_order(pieces, len(lengths)))
