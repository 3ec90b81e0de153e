"""4-bit weights through optimum's GPTQ: each layer's rounding errors are made up for by the weights not yet rounded.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2022
(arXiv:2210.17323). The second moments that this needs come from the person's own rows.
"""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import torch

from modelnook.convert.trace import feeds
from modelnook.domain.errors import DataError, UnsupportedError
from modelnook.domain.event import Emit, Progress
from modelnook.quantize.base import Quantizer
from modelnook.quantize.folder import refuse_quantized
from modelnook.quantize.library import library
from modelnook.quantize.pytorch import OTHERS, save
from modelnook.runtime import folder
from modelnook.runtime.folder import max_length
from modelnook.runtime.silence import mute_gptq
from modelnook.runtime.transformers import load_trained
from modelnook.tasks.dense_heavy import detach

__all__ = ["GptqQuantizer"]

GROUPS = (128, 64, 32)

KERNEL = "gptq_torch"
"""Dequantizes with PyTorch. GPT-QModel's own choice compiles CUDA or C++ for a minute or two when a model is first
read, and needs the compilers for it."""


class GptqQuantizer(Quantizer):
    """See :class:`~modelnook.quantize.base.Quantizer`. Needs a GPU; blocks of layers are done one after another."""

    name = "gptq"
    schemes = ("int4",)
    runtime = "transformers"
    seconds = 60.0

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        """Columns in their own order, then those with the largest activations first."""
        return [{}, {"by_activation": True}]

    def quantize(
        self, source: Path, target: Path, scheme: str, *, task: str, calibration: list[Any], emit: Emit, **options: Any
    ) -> None:
        """See :meth:`Quantizer.quantize`; ``by_activation`` is GPTQ's ``desc_act``.

        Raises:
            UnsupportedError: no GPU, or an architecture without a list of blocks.
            DataError: no rows to calibrate on.
        """
        refuse_quantized(source)
        if not _card():
            raise UnsupportedError("quantize.needs_gpu", backend=self.name, scheme=scheme)
        if not calibration:
            raise DataError("quantize.no_rows")
        emit(Progress("loading"))
        heavy, model, processor = load_trained(source, task)
        names = [name for name in ("input_ids", "attention_mask") if name in processor.model_input_names]
        rows = feeds(heavy, processor, calibration, max_length(source), names)
        detach(model)
        emit(Progress("quantizing"))
        mute_gptq()
        # Its weights are packed in Python: a minute of compiling C++ saves seconds of that.
        os.environ.setdefault("GPTQMODEL_DISABLE_PACK_EXT", "1")
        # Its bars are tqdm's own.
        with library(type(model).__name__, OTHERS[scheme]), redirect_stderr(io.StringIO()):
            small = _quantized(
                model.half().to(folder.CARD), processor, source, rows, bool(options.get("by_activation"))
            )
        save(small, processor, source, target, emit, OTHERS[scheme])


def _card() -> bool:
    return bool(torch.cuda.is_available())


def _quantized(model: Any, processor: Any, source: Path, rows: list[dict[str, Any]], by_activation: bool) -> Any:
    from optimum.gptq import GPTQQuantizer

    blocks = _blocks(model)
    if blocks is None:
        raise UnsupportedError("quantize.nothing", backend="gptq", architecture=type(model).__name__)
    widths = [m.in_features for m in model.get_submodule(blocks).modules() if isinstance(m, torch.nn.Linear)]
    group = next((size for size in GROUPS if all(width % size == 0 for width in widths)), -1)
    engine = GPTQQuantizer(
        bits=4,
        dataset=rows,
        group_size=group,
        desc_act=by_activation,
        act_group_aware=not by_activation,
        model_seqlen=max_length(source),
        block_name_to_quantize=blocks,
        backend=KERNEL,
    )
    small = engine.quantize_model(model, processor)
    # The calibration rows are the person's: they don't belong into a config that is published. optimum leaves out the
    # blocks' name, without which only the layouts that it guesses could be loaded again, and the kernel.
    small.config.quantization_config = {
        **engine.to_dict(),
        "dataset": None,
        "block_name_to_quantize": blocks,
        "backend": KERNEL,
    }
    return small


def _blocks(model: torch.nn.Module) -> str | None:
    """The list of equal blocks that holds most of the linear layers, e.g. ``bert.encoder.layer``."""

    def linears(module: torch.nn.Module) -> int:
        return sum(isinstance(part, torch.nn.Linear) for part in module.modules())

    lists = {name: linears(m) for name, m in model.named_modules() if isinstance(m, torch.nn.ModuleList)}
    best = max(lists, key=lambda name: (lists[name], -name.count(".")), default=None)
    return best if best is not None and lists[best] else None
