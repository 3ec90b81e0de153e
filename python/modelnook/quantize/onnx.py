"""int8 on ONNX Runtime, through ``transformers.exporters``: traced once, quantized once for each attempt.

The graph is exported with plain attention and without the exporter's own fusions: ONNX Runtime joins what pays while it
loads the program, and its joined LayerNorm and GELU kernels for the CPU are slower than the plain ones (see
``modelnook.runtime.onnx.DISABLED``). Measured on MiniLM, 2 cores, batch 32: 1,000 rows/s with ``ort_fusions="cpu"``,
1,700 without (benchmarks/quantize.py).

Weights and embeddings become int8; activations are quantized for each batch as it runs. One scale for a whole batch
means that a row's output depends, in its last digits, on the rows beside it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import onnx_ir
import torch

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Progress
from modelnook.quantize.base import Quantizer
from modelnook.quantize.folder import refuse_quantized, staged, write_config, write_tokenizer
from modelnook.quantize.sensitivity import worst
from modelnook.runtime.folder import max_length
from modelnook.runtime.silence import first_line, silence
from modelnook.runtime.transformers import load_trained

__all__ = ["OnnxQuantizer", "saturates"]

KEPT_SHARES = (0.25, 0.5)
# Protobuf holds 2 GB; above this the weights go into a file beside the program.
ONE_FILE = 1_900_000_000
SAMPLE = ["a short text", "a second text that is a little longer than the first one"]


class OnnxQuantizer(Quantizer):
    """See :class:`~modelnook.quantize.base.Quantizer`. An instance keeps the last traced model for its next attempt."""

    name = "onnx"
    schemes = ("int8",)
    runtime = "onnx"

    def __init__(self) -> None:
        self._traced: tuple[Path, str, Any, Any] | None = None

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        """One scale a tensor, then one a channel, then with the most sensitive layers in floats: a quarter, half."""
        return [{}, {"per_channel": True}, *({"per_channel": True, "keep": share} for share in KEPT_SHARES)]

    def quantize(
        self, source: Path, target: Path, scheme: str, *, task: str, calibration: list[Any], emit: Emit, **options: Any
    ) -> None:
        """See :meth:`Quantizer.quantize`.

        Args:
            per_channel: one scale for each output channel of a weight.
            keep: the share of linear layers, by sensitivity on ``calibration`` texts, that stays in floats.
        """
        refuse_quantized(source)
        program, tokenizer = self._trace(source, task, calibration, emit)
        exclude = self._kept(source, task, program, calibration, options.get("keep", 0.0))
        emit(Progress("quantizing"))
        small = _shrink(program, per_channel=bool(options.get("per_channel")), exclude=exclude)
        emit(Progress("saving"))
        with staged(target) as folder:
            write_tokenizer(source, folder, tokenizer)
            write_config(source, folder, self.name, scheme, options)
            _save(small, folder / "model.onnx")

    def _trace(self, source: Path, task: str, rows: list[Any], emit: Emit) -> tuple[Any, Any]:
        if self._traced is None or self._traced[:2] != (source, task):
            emit(Progress("quantizing"))
            heavy, model, tokenizer = load_trained(source, task)
            if heavy.spec.windows:
                raise UnsupportedError("quantize.in_parts", task=task, next="torchao")
            pairs = any(isinstance(row, Mapping) for row in heavy.spec().worded(rows[:1], heavy.learnt))
            model.set_attn_implementation("eager")
            program = _export(heavy.traced(model), tokenizer, source, pairs)
            self._traced = (source, task, program, tokenizer)
        return self._traced[2:]

    def _kept(self, source: Path, task: str, program: Any, texts: list[Any], share: float) -> list[str]:
        if not share or not texts:
            return []
        heavy, model, tokenizer = load_trained(source, task)
        layers = set(worst(heavy, model, tokenizer, texts, max_length(source), share=share))
        # What the task made of the model for tracing may hold it as its own part.
        layers |= {f"model.{name}" for name in layers}
        return [node.name for node in program.graph if node.name and _module(node) in layers]


def _export(model: Any, tokenizer: Any, source: Path, pairs: bool) -> Any:
    if not hasattr(tokenizer, "vocab_size"):
        raise UnsupportedError("quantize.only_texts", path=source, next="torchao")
    inputs = tokenizer(SAMPLE, SAMPLE[::-1] if pairs else None, padding=True, return_tensors="pt")
    # Single texts are all of one kind, which is what a model assumes where nothing is said.
    wanted = ("input_ids", "attention_mask", *(("token_type_ids",) if pairs else ()))
    feed = {name: inputs[name] for name in wanted if name in inputs}
    # torch.onnx tells each of its steps with print.
    with silence(), redirect_stdout(io.StringIO()), torch.inference_mode():
        # Imported here: it pulls in torchao where that is installed, which complains about missing CUDA kernels.
        from transformers.exporters.configs import OnnxConfig
        from transformers.exporters.exporter_onnx import OnnxExporter

        try:
            return OnnxExporter().export(model, feed, config=OnnxConfig(dynamic=True)).program
        except (MemoryError, KeyboardInterrupt, OSError):
            raise
        except Exception as error:
            names = model.config.architectures or [type(model).__name__]
            raise UnsupportedError(
                "quantize.untraceable", path=source, architecture=names[0], op=_op(error), next="torchao"
            ) from error


def _shrink(program: Any, *, per_channel: bool, exclude: list[str]) -> Any:
    with silence():
        from transformers.exporters.configs import ExportFormat
        from transformers.exporters.quantizers.quantizer_onnxruntime import (
            OnnxRuntimeDynamicConfig,
            OnnxRuntimeQuantizer,
        )

        config = OnnxRuntimeDynamicConfig(
            per_channel=per_channel, nodes_to_exclude=exclude, reduce_range=saturates(Path("/proc/cpuinfo"))
        )
        return OnnxRuntimeQuantizer(config).quantize(program, {}, ExportFormat.ONNX)


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


def _op(error: BaseException) -> str:
    """The operation that couldn't be traced, from the error's text or its causes'; else the error's first line."""
    cause: BaseException | None = error
    while cause is not None:
        found = re.search(r"\b(?:aten|prims|torchvision|transformers)[.:]{1,2}\w+(?:\.\w+)?", str(cause))
        if found:
            return found.group()
        cause = cause.__cause__ or cause.__context__
    return first_line(error)


def _module(node: Any) -> str:
    # The exporter records each node's way through the modules: ['', 'bert', …, 'bert.….query', 'linear'].
    scopes = re.findall(r"'([^']*)'", node.metadata_props.get("pkg.torch.onnx.name_scopes", ""))
    return scopes[-2] if len(scopes) > 1 and node.op_type in ("MatMul", "Gemm") else ""


def _save(program: Any, path: Path) -> None:
    size = sum(v.const_value.nbytes for v in program.graph.initializers.values() if v.const_value is not None)
    onnx_ir.save(program, str(path), external_data=f"{path.name}.data" if size > ONE_FILE else None)
