"""An ONNX program with tokenizer and settings, for ONNX Runtime alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.convert.onnx import FILE, program, save
from modelnook.convert.trace import Traced
from modelnook.export.base import TEXT
from modelnook.export.program import ProgramExporter

__all__ = ["OnnxExporter"]


class OnnxExporter(ProgramExporter):
    """See :class:`~modelnook.export.base.Exporter`."""

    name = "onnx"
    weights = FILE
    tolerance = 1e-3

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
                f"import onnxruntime\nfrom transformers import {kind}\n\n"
                f'processor = {kind}.from_pretrained("FOLDER")\n'
                'session = onnxruntime.InferenceSession("FOLDER/model.onnx")\n'
                'logits = session.run(None, dict(processor(inputs, return_tensors="np")))[0]\n'
            )
        return (
            "import numpy, onnxruntime\nfrom tokenizers import Tokenizer\n\n"
            'tokenizer = Tokenizer.from_file("FOLDER/tokenizer.json")\n'
            'session = onnxruntime.InferenceSession("FOLDER/model.onnx")\n'
            f"read = tokenizer.encode({TEXT})\n"
            'feed = {"input_ids": read.ids, "attention_mask": read.attention_mask, "token_type_ids": read.type_ids}\n'
            "names = [i.name for i in session.get_inputs()]\n"
            "outputs = session.run(None, {n: numpy.array([feed[n]], dtype=numpy.int64) for n in names})\n"
        )
