"""A trained model as an ONNX program, through ``transformers.exporters``.

The graph is exported with plain attention and without the exporter's own fusions: ONNX Runtime joins what pays while it
loads the program (see :data:`modelnook.runtime.onnx.DISABLED`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import onnx_ir
import torch

from modelnook.domain.errors import UnsupportedError
from modelnook.runtime.silence import operation, silence

__all__ = ["sample", "save", "trace"]

# Protobuf holds 2 GB; above this the weights go into a file beside the program.
ONE_FILE = 1_900_000_000
TEXTS = ["a short text", "a second text that is a little longer than the first one"]
MOST_ROWS = 2


def trace(task: Any, model: Any, processor: Any, rows: Sequence[Any]) -> Any:
    """The program of a model, an ``onnx_ir.Model`` whose batch and lengths are free.

    Args:
        task: the heavy half that loaded the model.
        rows: some of the person's rows, see :meth:`modelnook.tasks.base.Spec.as_rows`.

    Raises:
        UnsupportedError: an operation that can't be traced, named.
    """
    feed = sample(task, processor, rows)
    set_attention = getattr(model, "set_attn_implementation", None)
    if set_attention is not None:
        set_attention("eager")
    # torch.onnx tells each of its steps with print.
    with silence(), redirect_stdout(io.StringIO()), torch.inference_mode():
        # Imported here: it pulls in torchao where that is installed, which complains about missing CUDA kernels.
        from transformers.exporters.configs import OnnxConfig
        from transformers.exporters.exporter_onnx import OnnxExporter

        try:
            return OnnxExporter().export(task.traced(model), feed, config=OnnxConfig(dynamic=True)).program
        except (MemoryError, KeyboardInterrupt, OSError):
            raise
        except Exception as error:
            names = model.config.architectures or [type(model).__name__]
            raise UnsupportedError("convert.untraceable", architecture=names[0], op=operation(error)) from error


def sample(task: Any, processor: Any, rows: Sequence[Any]) -> dict[str, Any]:
    """Inputs to trace a model with: two texts of unlike lengths, or what the task makes of two rows of another kind."""
    if hasattr(processor, "vocab_size"):
        pairs = any(isinstance(row, Mapping) for row in task.spec().worded(rows[:1], task.learnt))
        found = processor(TEXTS, TEXTS[::-1] if pairs else None, padding=True, return_tensors="pt")
        # Single texts are all of one kind, which is what a model assumes where nothing is said.
        wanted = ("input_ids", "attention_mask", *(("token_type_ids",) if pairs else ()))
        return {name: found[name] for name in wanted if name in found}
    encoded = task.encode(processor, task.spec().as_columns(rows[:MOST_ROWS]), 0)
    batch = task.collate(processor, encoded)
    return {name: value for name, value in batch.items() if isinstance(value, torch.Tensor) and name != "labels"}


def save(program: Any, path: Path) -> None:
    """Write a program; its weights go into a file beside it where one file can't hold them."""
    size = sum(v.const_value.nbytes for v in program.graph.initializers.values() if v.const_value is not None)
    onnx_ir.save(program, str(path), external_data=f"{path.name}.data" if size > ONE_FILE else None)
