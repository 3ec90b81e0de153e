"""LoRA and its kin: thin matrices beside each linear layer are trained, the head in full; merged at the end.

Chosen by peft's own comparison (``method_comparison/MetaMathQA`` at 5d602fd: Llama 3.2 of 3B, each method as its
authors tuned it; accuracy on GSM8K), and with MiniLM on 800 questions of trec (two epochs, one seed, 250 test rows: a
rough look; LoRA at its planned rate, the others at the best of three). Rank-stabilised LoRA reached 0.513 there, LoRA
0.478, full fine-tuning 0.472, DoRA 0.469; with MiniLM 0.916 beside LoRA's 0.944, so it is offered for models that
write. What isn't here, and why:

- MiSS: 0.487 in 5% less time than LoRA and with the least memory; with MiniLM 0.896, and from three times that rate on
  it learns nothing.
- IA3 (0.455 at best), VeRA (0.354), LN tuning (0): their gain is a file of kilobytes to keep. A model made here stands
  alone, adapters merged, so that nothing is left of it, and they learn less.
- LoHa (0.393), LoKr (0.466), BOFT (0.343, seven times as long), OFT (0.491, a quarter longer than LoRA): slower, and
  rank-stabilised LoRA is ahead of them.
- Prefix and prompt tuning (0.416, 0.343): can't be merged, take room from the texts, and encoders have no prompt.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from torch import nn
from transformers.pytorch_utils import Conv1D

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.knobs import LORA, own_knobs
from modelnook.finetune.base import Method
from modelnook.finetune.full import save_pretrained
from modelnook.tasks.base import Task

__all__ = ["Adapted", "Dora", "Lora", "RsLora", "nothing_downloaded"]


class Adapted(Method):
    """What methods share that put adapters beside the linear layers of the body."""

    kinds: ClassVar[tuple[type[nn.Module], ...]] = (nn.Linear, Conv1D)
    """The layers that get one."""

    def prepare(self, model: Any, task: Task) -> Any:
        """Adapters on every linear layer of the body. A head that is new is trained in full, and a pooler with it.

        Raises:
            UnsupportedError: no such layer in the body.
        """
        from peft import get_peft_model

        targets, heads = _split(model, self.kinds)
        if not targets:
            raise UnsupportedError("train.no_linear", method=self.name, architecture=type(model).__name__)
        with nothing_downloaded():
            return get_peft_model(model, self.config(model, targets, heads if task.new_head else []))

    @abstractmethod
    def config(self, model: Any, targets: list[str], heads: list[str]) -> Any:
        """The configuration of peft.

        Args:
            targets: the full names of the layers that get an adapter.
            heads: those of the modules that are trained in full.
        """

    def save(self, model: Any, processor: Any, folder: Path) -> None:
        """See :meth:`Method.save`; the adapters are merged, so that nothing of peft is needed to load it."""
        save_pretrained(model.merge_and_unload(), processor, folder)


class Lora(Adapted):
    """Knobs: ``rank``, ``alpha``, ``dropout``, see :mod:`modelnook.domain.knobs`.

    Rates are ten times those of full fine-tuning: the matrices start at zero.
    """

    name = "lora"
    options = ("rank", "alpha", "dropout")
    further: ClassVar[dict[str, Any]] = {}
    """Arguments of peft's ``LoraConfig`` that make it one of LoRA's kin."""

    def config(self, model: Any, targets: list[str], heads: list[str]) -> Any:
        """See :meth:`Adapted.config`."""
        from peft import LoraConfig

        # A plug-in's kin of another name takes what LoRA does.
        own = own_knobs(self.name if self.name in LORA else Lora.name, self.knobs)
        return LoraConfig(
            r=int(own["rank"]),
            lora_alpha=int(own["alpha"]),
            lora_dropout=float(own["dropout"]),
            target_modules=targets,
            modules_to_save=heads,
            fan_in_fan_out=isinstance(model.get_submodule(targets[0]), Conv1D),
            bias="none",
            **self.further,
        )


class Dora(Lora):
    """DoRA (Liu et al. 2024, arXiv:2402.09353): LoRA on the direction of each weight vector, its length apart."""

    name = "dora"
    further = {"use_dora": True}


class RsLora(Lora):
    """Rank-stabilised LoRA (Kalajdzievski 2023, arXiv:2312.03732): scaled by alpha / √rank, so that rank pays.

    LoRA scales by alpha / rank, which makes the steps of thick matrices too small.
    """

    name = "rslora"
    further = {"use_rslora": True}


@contextmanager
def nothing_downloaded() -> Iterator[None]:
    """bitsandbytes, which peft imports where it is there, would fetch a compiled kernel from the hub for some CPUs.

    It does where the package ``kernels`` can be imported; within this it can't, and bitsandbytes uses its own.
    """
    if "bitsandbytes" in sys.modules:
        yield
        return
    held = sys.modules.get("kernels")
    sys.modules["kernels"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if held is None:
            del sys.modules["kernels"]
        else:
            sys.modules["kernels"] = held


def _split(model: nn.Module, kinds: tuple[type[nn.Module], ...]) -> tuple[list[str], list[str]]:
    """(layers of some kinds in the body, modules trained in full), by their full names."""
    prefix = str(getattr(model, "base_model_prefix", ""))
    targets, heads = [], []
    shared = {id(p) for p in model.get_submodule(prefix).parameters()} if hasattr(model, prefix) else set()
    for name, child in model.named_children():
        if name != prefix:
            heads += _own(name, child, shared)
    body = model.get_submodule(prefix) if hasattr(model, prefix) else model
    for name, child in body.named_children():
        if name == "pooler" and any(True for _ in child.parameters()):
            heads.append(f"{prefix}.{name}")
            continue
        full = f"{prefix}.{name}" if body is not model else name
        targets += [
            f"{full}.{inner}" if inner else full for inner, module in child.named_modules() if isinstance(module, kinds)
        ]
    return targets, heads


def _own(name: str, module: nn.Module, shared: set[int]) -> list[str]:
    """The module, or those in it that have no weight of the body: a copy of a tied table would not be tied any more."""
    parameters = [id(p) for p in module.parameters()]
    if not shared.intersection(parameters):
        return [name] if parameters else []
    return [found for inner, child in module.named_children() for found in _own(f"{name}.{inner}", child, shared)]
