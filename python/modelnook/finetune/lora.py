"""LoRA: two thin matrices beside each linear layer are trained, the head in full; merged at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from modelnook.domain.errors import UnsupportedError
from modelnook.finetune.base import Method
from modelnook.finetune.full import save_pretrained
from modelnook.tasks.base import Task

__all__ = ["Dora", "Lora"]


class Lora(Method):
    """Knobs: ``rank`` (default 16), ``alpha`` (twice the rank), ``dropout`` (0.05).

    Rates are ten times those of full fine-tuning: the matrices start at zero.
    """

    name = "lora"
    options = ("rank", "alpha", "dropout")
    use_dora = False

    def prepare(self, model: Any, task: Task) -> Any:
        """Adapters on every linear layer of the body. A head that is new is trained in full, and a pooler with it.

        Raises:
            UnsupportedError: no linear layer in the body.
        """
        from peft import LoraConfig, get_peft_model

        targets, heads = _split(model)
        heads = heads if task.new_head else []
        if not targets:
            raise UnsupportedError("train.lora_no_layers", architecture=type(model).__name__)
        rank = int(self.knobs.get("rank", 16))
        config = LoraConfig(
            r=rank,
            lora_alpha=int(self.knobs.get("alpha", 2 * rank)),
            lora_dropout=float(self.knobs.get("dropout", 0.05)),
            target_modules=targets,
            modules_to_save=heads,
            use_dora=self.use_dora,
            fan_in_fan_out=isinstance(model.get_submodule(targets[0]), Conv1D),
            bias="none",
        )
        return get_peft_model(model, config)

    def save(self, model: Any, processor: Any, folder: Path) -> None:
        """See :meth:`Method.save`; the adapters are merged, so that nothing of peft is needed to load it."""
        save_pretrained(model.merge_and_unload(), processor, folder)


class Dora(Lora):
    """DoRA (Liu et al. 2024, arXiv:2402.09353): LoRA on the direction of each weight vector, its length apart."""

    name = "dora"
    use_dora = True


def _split(model: nn.Module) -> tuple[list[str], list[str]]:
    """(linear layers of the body, modules trained in full), by their full names."""
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
            f"{full}.{inner}" if inner else full
            for inner, module in child.named_modules()
            if isinstance(module, (nn.Linear, Conv1D))
        ]
    return targets, heads


def _own(name: str, module: nn.Module, shared: set[int]) -> list[str]:
    """The module, or those in it that have no weight of the body: a copy of a tied table would not be tied any more."""
    parameters = [id(p) for p in module.parameters()]
    if not shared.intersection(parameters):
        return [name] if parameters else []
    return [found for inner, child in module.named_children() for found in _own(f"{name}.{inner}", child, shared)]
