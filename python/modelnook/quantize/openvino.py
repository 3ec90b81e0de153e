"""int8 and int4 on OpenVINO, through ``transformers.exporters`` and NNCF: traced once, quantized for each attempt.

int8 quantizes weights (a scale a channel) and activations, whose ranges are measured on the person's rows; where
outliers of an activation spoil that, layers or all activations stay in floats. int4 quantizes weights alone, in groups
that share a scale; embeddings and the head become int8.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from modelnook.convert.openvino import ATTENTION, FILE, program, save
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

mute_telemetry()
_kind = logging.getLoggerClass()

import nncf  # noqa: E402

# NNCF makes its own class that of every later logger in the process.
logging.setLoggerClass(_kind)

__all__ = ["OpenVinoQuantizer"]

KEPT_SHARE = 0.25
# The share of int4 weights' layers when the most sensitive ones are int8.
FOUR_BIT_SHARE = 0.6
GROUPS = (64, 32, 16)


class OpenVinoQuantizer(Quantizer):
    """See :class:`~modelnook.quantize.base.Quantizer`. An instance keeps the last traced model for its next attempt."""

    name = "openvino"
    schemes = ("int8", "int4")
    runtime = "openvino"
    speed = {"int8": 3.0, "int4": 1.5}
    seconds = 14.0

    def __init__(self) -> None:
        self._model: Traced | None = None
        self._program: Any = None

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        """int8: all, the most sensitive quarter of the layers in floats, weights alone. int4: weights by their own
        ranges, by what keeps the outputs on the person's rows, the most sensitive layers in int8.
        """
        if scheme == "int4":
            return [{}, {"by_data": True}, {"by_data": True, "ratio": FOUR_BIT_SHARE}]
        return [{}, {"keep": KEPT_SHARE}, {"weights_only": True}]

    def quantize(
        self, source: Path, target: Path, scheme: str, *, task: str, calibration: list[Any], emit: Emit, **options: Any
    ) -> None:
        """See :meth:`Quantizer.quantize`.

        Args:
            keep: the share of linear layers, by sensitivity on ``calibration`` rows, that stays in floats.
            weights_only: activations stay in floats.
            by_data: int4 scales that keep the layers' outputs on ``calibration`` rows (AWQ and scale estimation).
            ratio: the share of the weights that becomes int4; the rest is int8.
        """
        refuse_quantized(source)
        emit(Progress("quantizing"))
        model = prepared(self._model, source, task, calibration, self.name, scheme, ATTENTION)
        if model is not self._model:
            self._program = program(model, UNTRACEABLE, path=source, next=NEXT[scheme])
            self._model = model
        keep = self._kept(model, calibration, options.get("keep", 0.0))
        with library(model.architecture, NEXT[scheme]), _quiet():
            small = _shrink(self._program, model, scheme, calibration, keep, options)
        emit(Progress("saving"))
        with staged(target) as folder:
            write_tokenizer(source, folder, model.processor, for_program=True)
            write_config(source, folder, self.name, scheme, options)
            save(small, folder / FILE)

    def _kept(self, model: Traced, rows: list[Any], share: float) -> list[str]:
        if not share or not rows:
            return []
        names = worst(model.heavy, model.model, model.processor, rows, max_length(model.source), share=share)
        return _nodes(self._program, [model.model.get_submodule(name).weight for name in names])


def _shrink(program: Any, model: Traced, scheme: str, rows: list[Any], keep: list[str], options: dict[str, Any]) -> Any:
    from transformers.exporters.configs import ExportFormat
    from transformers.exporters.quantizers.quantizer_nncf import (
        NNCFOpenVINOQuantizer,
        NNCFQuantizationConfig,
        NNCFWeightCompressionConfig,
    )

    feeds = None
    if scheme == "int4":
        group = _group(model.model)
        # Scales by what the layers give need groups.
        by_data = True if options.get("by_data") and rows and group > 0 else None
        config: Any = NNCFWeightCompressionConfig(
            mode=nncf.CompressWeightsMode.INT4_ASYM,
            ratio=options.get("ratio", 1.0),
            group_size=group,
            awq=by_data,
            scale_estimation=by_data,
        )
        feeds = model.feeds(rows) if by_data else None
    elif options.get("weights_only") or not rows:
        config = NNCFWeightCompressionConfig(mode=nncf.CompressWeightsMode.INT8_ASYM)
    else:
        scope = nncf.IgnoredScope(names=keep) if keep else None
        config = NNCFQuantizationConfig(ignored_scope=scope, subset_size=len(rows))
        feeds = model.feeds(rows)
    return NNCFOpenVINOQuantizer(config, feeds).quantize(program.clone(), model.inputs, ExportFormat.OPENVINO)


@contextmanager
def _quiet() -> Iterator[None]:
    """NNCF's bars go to standard output, its log there by a handler of its own."""
    log = logging.getLogger("nncf")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        log.setLevel(level)


def _group(model: torch.nn.Module) -> int:
    """How many weights share a scale: as many as divide every linear layer's inputs, or -1 for a whole channel."""
    widths = [module.in_features for module in model.modules() if isinstance(module, torch.nn.Linear)]
    return next((size for size in GROUPS if all(width % size == 0 for width in widths)), -1)


def _nodes(program: Any, weights: list[torch.Tensor]) -> list[str]:
    """The names of the products that multiply by these weights: a program has names of its own for its layers."""
    wanted = {_print(weight.detach().numpy()) for weight in weights}
    wanted |= {_print(weight.detach().numpy().T) for weight in weights}
    found = []
    for op in program.get_ordered_ops():
        if op.get_type_name() != "MatMul":
            continue
        for port in op.inputs():
            node = port.get_source_output().get_node()
            while node.get_type_name() in ("Transpose", "Convert", "Reshape"):
                node = node.input(0).get_source_output().get_node()
            if node.get_type_name() == "Constant" and _print(node.data) in wanted:
                found.append(op.get_friendly_name())
    return found


def _print(weight: Any) -> tuple[tuple[int, ...], bytes]:
    # The first values tell layers apart; a program may hold a layer's weight transposed.
    return tuple(weight.shape), weight.reshape(-1)[:64].astype("float32").tobytes()
