"""int8 and int4 linear layers in PyTorch through torchao's config of transformers; saved as safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Progress
from modelnook.quantize.base import Quantizer
from modelnook.quantize.folder import refuse_quantized
from modelnook.quantize.pytorch import CAREFUL, OTHERS, converted, kept, save, whole
from modelnook.runtime import folder
from modelnook.runtime.silence import silence
from modelnook.runtime.transformers import load_trained
from modelnook.tasks.dense_heavy import detach

__all__ = ["TorchAoQuantizer"]

GROUPS = (128, 64, 32)
CAPABILITY = (8, 0)
"""The least compute capability of a GPU that has int4's kernels (Ampere)."""


class TorchAoQuantizer(Quantizer):
    """See :class:`~modelnook.quantize.base.Quantizer`. Weights have one scale a channel, activations one a token.

    int4 is for GPUs: torchao packs two weights into a byte for their kernels alone, on a CPU each takes a whole one.
    It is made there and from bfloat16, the one type that those kernels multiply with; what isn't quantized is
    saved as bfloat16 too.
    """

    name = "torchao"
    schemes = ("int8", "int4")
    runtime = "transformers"
    speed = {"int8": 1.2}
    seconds = 4.0

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        """int8: weights and activations of all linear layers, of all but the most sensitive quarter, weights alone."""
        if scheme == "int4":
            return list(CAREFUL)
        return [*CAREFUL, {"weights_only": True}]

    def quantize(
        self, source: Path, target: Path, scheme: str, *, task: str, calibration: list[Any], emit: Emit, **options: Any
    ) -> None:
        """See :meth:`Quantizer.quantize`.

        Args:
            keep: the share of linear layers that stays in floats.
            weights_only: activations stay in floats.

        Raises:
            UnsupportedError: int4 without a GPU or on one that lacks its kernels, or a model without linear layers.
        """
        refuse_quantized(source)
        if scheme == "int4":
            self._check_card(scheme)
        emit(Progress("loading"))
        with whole(source, target, task) as plain:
            heavy, model, processor = load_trained(plain, task)
            keep = kept(heavy, model, processor, plain, calibration, options.get("keep"))
            detach(model)
            emit(Progress("quantizing"))
            with silence():
                from transformers import TorchAoConfig

                how = TorchAoConfig(_how(scheme, model, options), modules_to_not_convert=keep or None)
            where: dict[str, Any] = {"dtype": torch.bfloat16, "device": folder.CARD} if scheme == "int4" else {}
            small = converted(type(model), plain, how, OTHERS[scheme], **where)
            if not _changed(small):
                raise UnsupportedError("quantize.nothing", backend=self.name, architecture=type(model).__name__)
            save(small, processor, plain, target, emit, OTHERS[scheme], _named)

    def _check_card(self, scheme: str) -> None:
        if not torch.cuda.is_available():
            raise UnsupportedError("quantize.needs_gpu", backend=self.name, scheme=scheme)
        there = torch.cuda.get_device_capability()
        if there < CAPABILITY:
            needed, capability = (".".join(map(str, numbers)) for numbers in (CAPABILITY, there))
            said = {"backend": self.name, "scheme": scheme, "needed": needed, "capability": capability}
            raise UnsupportedError("quantize.needs_newer_gpu", **said)


def _how(scheme: str, model: torch.nn.Module, options: dict[str, Any]) -> Any:
    from torchao.quantization import Int4WeightOnlyConfig, Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig

    if scheme == "int4":
        widths = [module.in_features for module in model.modules() if isinstance(module, torch.nn.Linear)]
        group = next((size for size in GROUPS if all(width % size == 0 for width in widths)), GROUPS[-1])
        return Int4WeightOnlyConfig(group_size=group, int4_packing_format="tile_packed_to_4d")
    return Int8WeightOnlyConfig() if options.get("weights_only") else Int8DynamicActivationInt8WeightConfig()


def _named(folder: Path) -> None:
    """Take names without a dot (BART's ``final_logits_bias``) out of the list that torchao divides at their dots.

    It stops at them while it reads any other tensor; they are floats and are read without it.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as opened:
            said = opened.metadata() or {}
        names = json.loads(said.get("tensor_names", "[]"))
        dotted = [name for name in names if "." in name]
        if len(dotted) < len(names):
            # What is loaded lies in the old file's pages: it is replaced, not written over.
            fresh = file.with_suffix(".new")
            save_file(load_file(file), fresh, metadata={**said, "tensor_names": json.dumps(dotted)})
            fresh.replace(file)


def _changed(model: Any) -> bool:
    """Whether any weight was quantized: models of layers other than ``torch.nn.Linear`` (GPT-2) stay as they were."""
    from torchao.utils import TorchAOBaseTensor

    return any(isinstance(weight, TorchAOBaseTensor) for weight in model.parameters())
