"""An OpenVINO program with tokenizer and settings, for OpenVINO alone.

Its weights are float32. On CPUs that have bfloat16 OpenVINO multiplies in that unless it is told otherwise, which is
what the tolerance is for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.convert.openvino import ATTENTION, FILE, program, save
from modelnook.convert.trace import Traced
from modelnook.export.base import TEXT
from modelnook.export.program import ProgramExporter

__all__ = ["OpenVinoExporter"]


class OpenVinoExporter(ProgramExporter):
    """See :class:`~modelnook.export.base.Exporter`."""

    name = "openvino"
    weights = FILE
    attention = ATTENTION
    tolerance = 0.05

    def program(self, traced: Traced) -> Any:
        """See :meth:`ProgramExporter.program`."""
        return program(traced)

    def save(self, program: Any, file: Path) -> None:
        """See :meth:`ProgramExporter.save`."""
        save(program, file)

    def snippet(self, task: str) -> str:
        """See :meth:`Exporter.snippet`."""
        if task in ("image-classification", "audio-classification"):
            kind = "AutoImageProcessor" if task.startswith("image") else "AutoFeatureExtractor"
            return (
                f"import openvino\nfrom transformers import {kind}\n\n"
                f'processor = {kind}.from_pretrained("FOLDER")\n'
                'model = openvino.Core().compile_model("FOLDER/openvino_model.xml", "CPU")\n'
                'logits = model(dict(processor(inputs, return_tensors="np")))[0]\n'
            )
        return (
            "import numpy, openvino\nfrom tokenizers import Tokenizer\n\n"
            'tokenizer = Tokenizer.from_file("FOLDER/tokenizer.json")\n'
            'model = openvino.Core().compile_model("FOLDER/openvino_model.xml", "CPU")\n'
            f"read = tokenizer.encode({TEXT})\n"
            'feed = {"input_ids": read.ids, "attention_mask": read.attention_mask, "token_type_ids": read.type_ids}\n'
            "names = [port.any_name for port in model.inputs]\n"
            "outputs = model({n: numpy.array([feed[n]], dtype=numpy.int64) for n in names})[0]\n"
        )
