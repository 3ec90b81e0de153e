"""An ONNX program with tokenizer and settings, for ONNX Runtime alone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelnook.convert.folder import write_config, write_tokenizer
from modelnook.convert.onnx import save, trace
from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Progress
from modelnook.export.base import Exporter
from modelnook.runtime.folder import formats, quantized
from modelnook.runtime.transformers import load_trained
from modelnook.store.models import CARD
from modelnook.tasks import TASKS

__all__ = ["OnnxExporter"]

# The outputs of these follow from a loop over the program, which modelnook's runtime doesn't have.
WRITERS = ("text-generation", "text2text-generation", "automatic-speech-recognition")


class OnnxExporter(Exporter):
    """See :class:`Exporter`."""

    name = "onnx"
    weights = "model.onnx"
    tolerance = 1e-3

    def write(
        self, source: Path, folder: Path, *, task: str, rows: Sequence[Any], name: str, emit: Emit
    ) -> dict[str, Any]:
        """See :meth:`Exporter.write`. What is an ONNX program already, quantized or not, is copied as it is."""
        if "onnx" in formats(source):
            emit(Progress("saving"))
            for file in source.iterdir():
                if file.is_file() and file.name not in (CARD, "README.md") and file.suffix != ".safetensors":
                    shutil.copyfile(file, folder / file.name)
            return {"quantized": quantized(source)} if quantized(source) else {}
        how = quantized(source)
        if how:
            raise UnsupportedError("export.cant_hold", path=source, how=how, format=self.name)
        if task in WRITERS:
            raise UnsupportedError("export.no_writers", task=task, format=self.name)
        spec = TASKS.load(task, light=True)
        if task == "fill-mask" or spec.windows or set(spec.inputs) & {"image", "audio"}:
            raise UnsupportedError("task.no_program", task=task)
        emit(Progress("loading"))
        heavy, model, processor = load_trained(source, task)
        emit(Progress("exporting"))
        program = trace(heavy, model, processor, rows)
        emit(Progress("saving"))
        write_tokenizer(source, folder, processor)
        write_config(source, folder)
        save(program, folder / self.weights)
        return {}

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
            'row = tokenizer.encode("a text")\n'
            'feed = {"input_ids": row.ids, "attention_mask": row.attention_mask, "token_type_ids": row.type_ids}\n'
            "names = [i.name for i in session.get_inputs()]\n"
            "outputs = session.run(None, {n: numpy.array([feed[n]], dtype=numpy.int64) for n in names})\n"
        )
