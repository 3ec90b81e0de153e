"""A trained model as an OpenVINO program, through ``transformers.exporters``.

Attention is one operation in it, which OpenVINO computes as one: as products of their own it is a third of the time of
128 tokens (MiniLM in int8, 32 rows: 313 ms, 207).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.convert.folder import writing
from modelnook.convert.trace import FAILURES, Traced, tracing
from modelnook.runtime.silence import mute_telemetry

mute_telemetry()

import openvino  # noqa: E402

__all__ = ["ATTENTION", "FILE", "program", "save"]

ATTENTION = "sdpa"
"""What a model is to be traced with, see :class:`~modelnook.convert.trace.Traced`."""

FILE = "openvino_model.xml"


def program(traced: Traced, codes: tuple[str, str] = FAILURES, **values: Any) -> Any:
    """The program of a model, an ``openvino.Model`` whose batch and lengths are free.

    Raises:
        UnsupportedError: an operation that can't be traced, named; see :func:`~modelnook.convert.trace.tracing`.
    """
    with tracing(traced.architecture, codes, **values):
        # Imported here: it pulls in torchao where that is installed, which complains about missing CUDA kernels.
        from transformers.exporters.configs import OpenVINOConfig
        from transformers.exporters.exporter_openvino import OpenVINOExporter

        return (
            OpenVINOExporter().export(traced.module, dict(traced.inputs), config=OpenVINOConfig(dynamic=True)).program
        )


def save(made: Any, path: Path) -> None:
    """Write a program, its weights in a file beside it, in the precision that they have."""
    with writing(path.parent):
        openvino.save_model(made, str(path), compress_to_fp16=False)
