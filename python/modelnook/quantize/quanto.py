"""int8 and int4 linear weights in PyTorch through optimum-quanto, in its own form: frozen, mapped, as safetensors.

``save_pretrained`` of transformers refuses quanto's models; the folder holds what quanto itself reads back: the state
dict and ``quantization_map.json`` (see :mod:`modelnook.tasks.quanto_heavy`). It does any architecture that has linear
layers; weights are made floats again for each product, so it saves bytes and memory and no time on a CPU.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Progress
from modelnook.quantize.base import Quantizer
from modelnook.quantize.folder import refuse_quantized, staged, write_config, write_tokenizer
from modelnook.quantize.library import library
from modelnook.quantize.pytorch import CAREFUL, OTHERS, kept
from modelnook.runtime.transformers import load_trained
from modelnook.tasks.dense import carry
from modelnook.tasks.dense_heavy import detach
from modelnook.tasks.quanto_heavy import MAP, without_compiler

__all__ = ["QuantoQuantizer"]


class QuantoQuantizer(Quantizer):
    """See :class:`~modelnook.quantize.base.Quantizer`. int8 has a scale a channel, int4 one for a group of weights."""

    name = "quanto"
    schemes = ("int8", "int4")
    runtime = "transformers"
    speed = {"int8": 0.8, "int4": 0.3}
    seconds = 3.0

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        """All linear layers, then all but the most sensitive quarter."""
        return list(CAREFUL)

    def quantize(
        self, source: Path, target: Path, scheme: str, *, task: str, calibration: list[Any], emit: Emit, **options: Any
    ) -> None:
        """See :meth:`Quantizer.quantize`; ``keep`` is the share of linear layers that stays in floats."""
        refuse_quantized(source)
        emit(Progress("loading"))
        heavy, model, processor = load_trained(source, task)
        keep = kept(heavy, model, processor, source, calibration, options.get("keep"))
        detach(model)
        emit(Progress("quantizing"))
        with library(type(model).__name__, OTHERS[scheme]):
            layers = _quantize(model, scheme, keep)
            if not layers:
                raise UnsupportedError("quantize.nothing", backend=self.name, architecture=type(model).__name__)
            emit(Progress("saving"))
            with staged(target) as folder:
                carry(source, folder)
                write_tokenizer(source, folder, processor)
                write_config(source, folder, self.name, scheme, options)
                _write_weights(model, folder / "model.safetensors")
                (folder / MAP).write_text(json.dumps(layers, separators=(",", ":")), encoding="utf-8")


def _quantize(model: Any, scheme: str, keep: list[str]) -> dict[str, Any]:
    import torch
    from optimum.quanto import freeze, quantization_map, quantize

    without_compiler()
    output = getattr(model, "get_output_embeddings", lambda: None)()
    names = [
        name
        for name, module in model.named_modules()
        # Output embeddings mostly are the input ones: as two they would be larger than before.
        if isinstance(module, torch.nn.Linear) and name not in keep and module is not output
    ]
    if names:
        quantize(model, weights={"int8": "qint8", "int4": "qint4"}[scheme], include=names)
        freeze(model)
    return dict(quantization_map(model))


def _write_weights(model: Any, path: Path) -> None:
    from safetensors.torch import save_file

    seen: set[int] = set()
    weights = {}
    for name, tensor in model.state_dict().items():
        # One of two names that share a tensor: loading ties them again.
        if tensor.data_ptr() not in seen or not tensor.numel():
            seen.add(tensor.data_ptr())
            weights[name] = tensor.contiguous()
    save_file(weights, str(path), metadata={"format": "pt"})
