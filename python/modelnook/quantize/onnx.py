"""int8 on ONNX Runtime, through ``transformers.exporters``: traced once, quantized once for each attempt.

Weights and embeddings become int8; activations are quantized for each batch as it runs. One scale for a whole batch
means that a row's output depends, in its last digits, on the rows beside it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from modelnook.convert.onnx import FILE, program, save
from modelnook.convert.trace import Traced
from modelnook.domain.event import Emit, Progress
from modelnook.quantize import NEXT
from modelnook.quantize.base import Quantizer
from modelnook.quantize.folder import refuse_quantized, staged, write_config, write_tokenizer
from modelnook.quantize.library import library
from modelnook.quantize.sensitivity import worst
from modelnook.quantize.trace import UNTRACEABLE, prepared
from modelnook.runtime.folder import max_length
from modelnook.runtime.silence import mute_telemetry

__all__ = ["OnnxQuantizer", "saturates"]

KEPT_SHARES = (0.25, 0.5)
# What int8 pays for: products of matrices, and the embeddings' bytes. Everything else static would only lose digits.
STATIC_OPS = ["MatMul", "Gemm", "Gather"]
# Products of two activations (attention) stay in floats: their ranges differ most from text to text.
STATIC_WEIGHTS = {"MatMulConstBOnly": True}


class OnnxQuantizer(Quantizer):
    """See :class:`~modelnook.quantize.base.Quantizer`. An instance keeps the last traced model for its next attempt."""

    name = "onnx"
    schemes = ("int8",)
    runtime = "onnx"
    speed = {"int8": 5.0}
    seconds = 9.0

    def __init__(self) -> None:
        self._model: Traced | None = None
        self._program: Any = None

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        """As it is; ranges of activations fixed beforehand on the person's rows; then the most sensitive layers in
        floats: a quarter, half.
        """
        return [{}, {"static": True}, *({"keep": share} for share in KEPT_SHARES)]

    def quantize(
        self, source: Path, target: Path, scheme: str, *, task: str, calibration: list[Any], emit: Emit, **options: Any
    ) -> None:
        """See :meth:`Quantizer.quantize`.

        Args:
            per_channel: a scale for each output channel of a weight. One for all of it, False, is as quick with many
                rows and loses thrice as many of them (MiniLM on 1,713 reviews of cr: 12 and 37 right answers lost,
                790 and 817 rows/s).
            keep: the share of linear layers, by sensitivity on ``calibration`` texts, that stays in floats.
            static: ranges of activations from ``calibration`` rows instead of each batch's own.
        """
        refuse_quantized(source)
        emit(Progress("quantizing"))
        model = self._traced(source, task, calibration, scheme)
        exclude = self._kept(model, calibration, options.get("keep", 0.0))
        rows = model.feeds(calibration) if options.get("static") else None
        mute_telemetry()
        with library(model.architecture, NEXT[scheme]):
            per_channel = bool(options.get("per_channel", True))
            small = _shrink(self._program, per_channel=per_channel, exclude=exclude, rows=rows)
        emit(Progress("saving"))
        with staged(target) as folder:
            write_tokenizer(source, folder, model.processor, for_program=True)
            write_config(source, folder, self.name, scheme, options)
            save(small, folder / FILE)

    def _traced(self, source: Path, task: str, rows: list[Any], scheme: str) -> Traced:
        model = prepared(self._model, source, task, rows, self.name, scheme)
        if model is not self._model:
            self._program = program(model, UNTRACEABLE, path=source, next=NEXT[scheme])
            self._model = model
        return model

    def _kept(self, model: Traced, texts: list[Any], share: float) -> list[str]:
        if not share or not texts:
            return []
        layers = set(worst(model.heavy, model.model, model.processor, texts, max_length(model.source), share=share))
        # What the task made of the model for tracing may hold it as its own part.
        layers |= {f"model.{name}" for name in layers}
        nodes = [node for node in self._program.graph if node.name and _module(node) in layers]
        # A Gemm is taken apart before it is quantized, and its product has a name of its own then.
        return [name for node in nodes for name in (node.name, *[f"{node.name}_MatMul"] * (node.op_type == "Gemm"))]


def _shrink(program: Any, *, per_channel: bool, exclude: list[str], rows: list[dict[str, Any]] | None) -> Any:
    from transformers.exporters.configs import ExportFormat
    from transformers.exporters.quantizers.quantizer_onnxruntime import (
        OnnxRuntimeDynamicConfig,
        OnnxRuntimeQuantizer,
        OnnxRuntimeStaticConfig,
    )

    options: dict[str, Any] = {
        "per_channel": per_channel,
        "nodes_to_exclude": exclude,
        "reduce_range": saturates(Path("/proc/cpuinfo")),
    }
    config = (
        OnnxRuntimeDynamicConfig(**options)
        if not rows
        else OnnxRuntimeStaticConfig(**options, op_types_to_quantize=STATIC_OPS, extra_options=STATIC_WEIGHTS)
    )
    return OnnxRuntimeQuantizer(config, rows).quantize(program, {}, ExportFormat.ONNX)


def saturates(cpuinfo: Path) -> bool:
    """Whether int8 products are summed in 16 bits here and may overflow: x86 without VNNI. Weights get 7 bits then.

    See "When to use reduce-range and per-channel quantization" in ONNX Runtime's page on quantization. False where
    nothing tells: other systems, other processors.
    """
    try:
        flags = next(line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")).split()
    except (OSError, StopIteration):
        return False
    return not {"avx512_vnni", "avx_vnni"} & set(flags)


def _module(node: Any) -> str:
    # The exporter records each node's way through the modules: ['', 'bert', …, 'bert.….query', 'linear'].
    scopes = re.findall(r"'([^']*)'", node.metadata_props.get("pkg.torch.onnx.name_scopes", ""))
    return scopes[-2] if len(scopes) > 1 and node.op_type in ("MatMul", "Gemm") else ""
