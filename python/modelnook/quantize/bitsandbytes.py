"""8-bit (LLM.int8) and 4-bit (NF4) linear layers in PyTorch through bitsandbytes' config of transformers.

Dettmers et al., "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale", 2022 (arXiv:2208.07339), and
"QLoRA: Efficient Finetuning of Quantized LLMs", 2023 (arXiv:2305.14314). It saves memory; its kernels are for GPUs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Progress
from modelnook.quantize.base import Quantizer
from modelnook.quantize.folder import refuse_quantized
from modelnook.quantize.pytorch import CAREFUL, OTHERS, converted, kept, save, whole
from modelnook.runtime.silence import silence
from modelnook.runtime.transformers import load_trained
from modelnook.tasks.dense_heavy import detach

__all__ = ["BitsAndBytesQuantizer"]

INPUTS, OUTPUTS = 64, 32


class BitsAndBytesQuantizer(Quantizer):
    """See :class:`~modelnook.quantize.base.Quantizer`. Embeddings and the head stay in floats; a CPU is slow."""

    name = "bitsandbytes"
    schemes = ("int8", "int4")
    runtime = "transformers"
    speed = {"int8": 0.3, "int4": 0.3}
    seconds = 4.0

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        """All linear layers, then all but the most sensitive quarter."""
        return list(CAREFUL)

    def quantize(
        self, source: Path, target: Path, scheme: str, *, task: str, calibration: list[Any], emit: Emit, **options: Any
    ) -> None:
        """See :meth:`Quantizer.quantize`; ``keep`` is the share of linear layers that stays in floats."""
        refuse_quantized(source)
        emit(Progress("loading"))
        with whole(source, target, task) as plain:
            heavy, model, processor = load_trained(plain, task)
            keep = kept(heavy, model, processor, plain, calibration, options.get("keep"))
            detach(model)
            emit(Progress("quantizing"))
            odd = _odd(model) if scheme == "int4" else []
            small = converted(type(model), plain, _how(scheme, [*_heads(model), *keep, *odd]), OTHERS[scheme])
            if not _changed(small):
                raise UnsupportedError("quantize.nothing", backend=self.name, architecture=type(model).__name__)
            save(small, processor, plain, target, emit, OTHERS[scheme])


def _how(scheme: str, keep: list[str]) -> Any:
    with silence():
        from transformers import BitsAndBytesConfig

        if scheme == "int8":
            return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=keep)
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16 if torch.cuda.is_available() else torch.float32,
            llm_int8_skip_modules=keep,
        )


def _heads(model: torch.nn.Module) -> list[str]:
    """The names of the last linear layer, which is small and decides, and of output embeddings where there are some."""
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    output = getattr(model, "get_output_embeddings", lambda: None)()
    return [name for name, module in model.named_modules() if name in linear[-1:] or (output and module is output)]


def _odd(model: torch.nn.Module) -> list[str]:
    """The linear layers that NF4's kernel for CPUs can't pack: it takes 64 inputs and 32 outputs at a time."""
    linear = [(name, m) for name, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
    return [name for name, m in linear if m.in_features % INPUTS or m.out_features % OUTPUTS]


def _changed(model: torch.nn.Module) -> bool:
    """Whether any layer was replaced."""
    from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt

    return any(isinstance(module, Linear4bit | Linear8bitLt) for module in model.modules())
