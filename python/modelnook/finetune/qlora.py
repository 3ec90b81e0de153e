"""QLoRA (Dettmers et al. 2023, arXiv:2305.14314): LoRA beside weights that are held in four bits.

The linear layers of the body are NF4 in blocks of 64, the blocks' scales themselves in eight bits; embeddings, norms
and the head stay as they are. What it is for: a model whose weights alone fill the card. The model that is saved has
float32 weights again, those that training saw (four bits as numbers) with the adapters merged: merged into the original
weights, or rounded to four bits once more, it would be another model than the one that was validated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from modelnook.finetune.lora import Lora, nothing_downloaded
from modelnook.tasks.base import Task
from modelnook.training.device import native_bf16

__all__ = ["QLora"]


class QLora(Lora):
    """LoRA's knobs. The layers are quantized on the GPU one by one, so that it never holds them in float32.

    bitsandbytes computes on a CPU as well, slower than float32 does, so the method is offered on GPUs alone.
    """

    name = "qlora"
    kinds = (nn.Linear,)

    def prepare(self, model: Any, task: Task) -> Any:
        """See :meth:`Lora.prepare`; peft is told that the layers are in four bits."""
        model.is_loaded_in_4bit = True
        try:
            return super().prepare(model, task)
        finally:
            del model.is_loaded_in_4bit

    def config(self, model: Any, targets: list[str], heads: list[str]) -> Any:
        """See :meth:`Adapted.config`; the layers are in four bits afterwards."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        for name in targets:
            model.set_submodule(name, four_bits(model.get_submodule(name), device))
        return super().config(model, targets, heads)

    def save(self, model: Any, processor: Any, folder: Path) -> None:
        """See :meth:`Method.save`; float32."""
        from peft.tuners.lora import LoraLayer

        adapted = [(name, m) for name, m in model.named_modules() if isinstance(m, LoraLayer)]
        for name, module in adapted:
            model.set_submodule(name, merged(module))
        super().save(model, processor, folder)


def four_bits(layer: nn.Linear, device: str) -> nn.Module:
    """The layer with its weights in NF4, on the device.

    It computes in bfloat16 where a GPU does natively, else in float32.
    """
    with nothing_downloaded():
        from bitsandbytes.nn.modules import Linear4bit, Params4bit

    half = device == "cuda" and native_bf16(device)
    made = Linear4bit(
        layer.in_features,
        layer.out_features,
        bias=layer.bias is not None,
        compute_dtype=torch.bfloat16 if half else torch.float32,
        device="meta",
    )
    made.weight = Params4bit(
        layer.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4", module=made
    )
    if layer.bias is not None:
        made.bias = nn.Parameter(layer.bias.data, requires_grad=False)
    # Its kernel for CPUs keeps other numbers while the model evaluates than while it trains.
    made.support_avx512bf16_for_cpu = False
    quantized: nn.Module = made.to(device)
    return quantized


def merged(layer: Any) -> nn.Linear:
    """An adapted layer as a plain one in float32: its four bits as numbers, and what was learnt."""
    from peft.utils.integrations import dequantize_module_weight

    base = layer.get_base_layer()
    weight = dequantize_module_weight(base).float()
    for adapter in layer.active_adapters:
        weight = weight + layer.get_delta_weight(adapter).float()
    made = nn.Linear(base.in_features, base.out_features, bias=base.bias is not None, device="meta")
    made.weight = nn.Parameter(weight.detach())
    if base.bias is not None:
        made.bias = nn.Parameter(base.bias.detach().float())
    return made
