"""A fine-tuning method: what of a model is trained, and how what was trained is saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from modelnook.domain.event import Emit
from modelnook.tasks.base import Task

__all__ = ["Framed", "Method"]


@dataclass(frozen=True, slots=True)
class Framed:
    """What the loop is given: a task, and encoded rows to train and to validate on."""

    task: Any
    train: dict[str, list[Any]]
    evaluation: dict[str, list[Any]] | None


class Method(ABC):
    """``prepare`` before the loop, ``save`` after it. The loop itself is ``modelnook.training.loop`` for all of them.

    Args:
        knobs: the method's own settings, e.g. ``rank`` of LoRA; those of :attr:`options`.
    """

    name: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    """The names of the knobs that it takes."""

    def __init__(self, **knobs: Any) -> None:
        self.knobs = knobs
        self.once: Callable[[tuple[Any, ...], Callable[[], Any]], Any] = lambda key, make: make()
        """Asked for what follows from base model and rows alone: runs on the same rows share it."""
        self.tokens = 0
        """Tokens that go through the model at once where it is only asked; 0: as many as are quick."""

    @abstractmethod
    def prepare(self, model: Any, task: Task) -> Any:
        """The model with what is trained marked (``requires_grad``), adapters added."""

    def frame(
        self,
        model: Any,
        task: Task,
        processor: Any,
        train: dict[str, list[Any]],
        evaluation: dict[str, list[Any]] | None,
        device: Any,
        emit: Emit,
    ) -> Framed:
        """The task and the rows as the method trains on them; by default as they are.

        Args:
            model: as :meth:`prepare` gave it.
            device: where it will be trained, a ``torch.device``.
        """
        return Framed(task, train, evaluation)

    def trainable_state(self, model: Any) -> dict[str, Any]:
        """What a checkpoint keeps: name -> tensor. By default what is trained, and running statistics."""
        trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
        return trained | _statistics(model)

    def load_trainable(self, model: Any, state: dict[str, Any]) -> None:
        """Put a checkpoint's tensors back, in place."""
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.detach().copy_(state[name])
        for name, buffer in _statistics(model).items():
            # Checkpoints of earlier versions have none.
            if name in state:
                buffer.copy_(state[name])

    @abstractmethod
    def save(self, model: Any, processor: Any, folder: Path) -> None:
        """Write a folder that stands alone: safetensors, config, processor; adapters merged."""


def _statistics(model: Any) -> dict[str, Any]:
    """What batch norm learns of the rows that pass through it, also where its weights are frozen: name -> buffer."""
    from torch.nn.modules.batchnorm import _BatchNorm

    norms = [(name, module) for name, module in model.named_modules() if isinstance(module, _BatchNorm)]
    return {f"{name}.{own}": buffer for name, module in norms for own, buffer in module.named_buffers(recurse=False)}
