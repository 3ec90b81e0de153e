"""A trained model as an OpenVINO program, through ``transformers.exporters``; with plain attention, as for ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.convert.folder import writing
from modelnook.convert.trace import FAILURES, Traced, tracing
from modelnook.runtime.silence import mute_telemetry

mute_telemetry()

import openvino  # noqa: E402

__all__ = ["FILE", "program", "save"]

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
