"""One GGUF file for llama.cpp and what is built on it: weights, tokenizer and chat template of a model that writes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelnook.convert.gguf import FILE, TASK, convert
from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Progress
from modelnook.export.base import Exporter
from modelnook.runtime.folder import config, formats, quantized

__all__ = ["GgufExporter"]


class GgufExporter(Exporter):
    """See :class:`Exporter`. Floats of 16 bits; a GGUF file, quantized or not, is copied as it is."""

    name = "gguf"
    weights = FILE
    tolerance = 0.02

    def write(
        self, source: Path, folder: Path, *, task: str, rows: Sequence[Any], name: str, emit: Emit
    ) -> dict[str, Any]:
        """See :meth:`Exporter.write`."""
        if task != TASK:
            raise UnsupportedError("export.only_writers", task=task)
        if formats(source) == ("gguf",):
            emit(Progress("saving"))
            shutil.copyfile(sorted(source.glob("*.gguf"))[0], folder / self.weights)
            return {"quantized": quantized(source)}
        how = quantized(source)
        if how:
            raise UnsupportedError("export.cant_hold", path=source, how=how, format=self.name)
        emit(Progress("loading"))
        said = config(source)
        kind = "bf16" if "bfloat16" in (said.get("dtype"), said.get("torch_dtype")) else "f16"
        convert(source, folder / self.weights, kind, name=name, emit=emit)
        return {"precision": kind}

    def snippet(self, task: str) -> str:
        """See :meth:`Exporter.snippet`."""
        return (
            "import xllamacpp  # or in a terminal: llama-cli -m FOLDER/model.gguf\n\n"
            "params = xllamacpp.CommonParams()\n"
            'params.model.path = "FOLDER/model.gguf"\n'
            "server = xllamacpp.Server(params)\n"
            'server.handle_chat_completions({"messages": [{"role": "user", "content": "Hello"}]})\n'
        )
