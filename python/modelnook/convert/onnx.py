"""A trained model as an ONNX program, through ``transformers.exporters``.

The graph is exported with plain attention and without the exporter's own fusions: ONNX Runtime joins what pays while it
loads the program, and its joined LayerNorm and GELU kernels for the CPU are slower than the plain ones (see
:data:`modelnook.runtime.onnx.DISABLED`). Measured on MiniLM, 2 cores, batch 32: 1,000 rows/s with
``ort_fusions="cpu"``, 1,700 without (benchmarks/quantize.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx_ir

from modelnook.convert.trace import FAILURES, Traced, tracing

__all__ = ["FILE", "program", "save"]

FILE = "model.onnx"
# Protobuf holds 2 GB; above this the weights go into a file beside the program.
ONE_FILE = 1_900_000_000


def program(traced: Traced, codes: tuple[str, str] = FAILURES, **values: Any) -> Any:
    """The program of a model, an ``onnx_ir.Model`` whose batch and lengths are free.

    Raises:
        UnsupportedError: an operation that can't be traced, named; see :func:`~modelnook.convert.trace.tracing`.
    """
    with tracing(traced.architecture, codes, **values):
        # Imported here: it pulls in torchao where that is installed, which complains about missing CUDA kernels.
        from transformers.exporters.configs import OnnxConfig
        from transformers.exporters.exporter_onnx import OnnxExporter

        return OnnxExporter().export(traced.module, dict(traced.inputs), config=OnnxConfig(dynamic=True)).program


def save(made: Any, path: Path) -> None:
    """Write a program; its weights go into a file beside it where one file can't hold them."""
    size = sum(v.const_value.nbytes for v in made.graph.initializers.values() if v.const_value is not None)
    onnx_ir.save(made, str(path), external_data=f"{path.name}.data" if size > ONE_FILE else None)
