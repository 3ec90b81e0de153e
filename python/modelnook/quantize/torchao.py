"""int8 linear layers in PyTorch through torchao's config of transformers; saved as safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Progress
from modelnook.quantize.base import Quantizer
from modelnook.quantize.folder import refuse_quantized, staged, write_tokenizer
from modelnook.quantize.sensitivity import worst
from modelnook.runtime.folder import max_length
from modelnook.runtime.silence import first_line, silence
from modelnook.runtime.transformers import load_trained

__all__ = ["TorchAoQuantizer"]

KEPT_SHARE = 0.25


class TorchAoQuantizer(Quantizer):
    """See :class:`~modelnook.quantize.base.Quantizer`. Weights have one scale a channel, activations one a token."""

    name = "torchao"
    schemes = ("int8",)
    runtime = "transformers"

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        """All linear layers, then all but the most sensitive quarter."""
        return [{}, {"keep": KEPT_SHARE}]

    def quantize(
        self, source: Path, target: Path, scheme: str, *, task: str, calibration: list[Any], emit: Emit, **options: Any
    ) -> None:
        """See :meth:`Quantizer.quantize`; ``keep`` is the share of linear layers that stays in floats."""
        refuse_quantized(source)
        emit(Progress("loading"))
        heavy, model, tokenizer = load_trained(source, task)
        keep: list[str] = []
        if options.get("keep") and calibration:
            keep = worst(heavy, model, tokenizer, calibration, max_length(source), share=options["keep"])
        emit(Progress("quantizing"))
        with silence():
            small = _quantized(type(model), source, keep)
            if not _changed(small):
                raise UnsupportedError("quantize.nothing", backend=self.name, architecture=type(model).__name__)
            emit(Progress("saving"))
            with staged(target) as folder:
                small.config._name_or_path = ""
                small.save_pretrained(folder)
                write_tokenizer(source, folder, tokenizer)


def _quantized(kind: type[Any], source: Path, keep: list[str]) -> Any:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig
    from transformers import TorchAoConfig

    config = TorchAoConfig(Int8DynamicActivationInt8WeightConfig(), modules_to_not_convert=keep or None)
    try:
        return kind.from_pretrained(
            str(source),
            quantization_config=config,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (MemoryError, OSError):
        raise
    except Exception as error:
        raise UnsupportedError(
            "quantize.untraceable", path=source, architecture=kind.__name__, op=first_line(error), next="onnx"
        ) from error


def _changed(model: Any) -> bool:
    """Whether any weight was quantized: models of layers other than ``torch.nn.Linear`` (GPT-2) stay as they were."""
    from torchao.utils import TorchAOBaseTensor

    return any(isinstance(weight, TorchAOBaseTensor) for weight in model.parameters())
