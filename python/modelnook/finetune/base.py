"""A fine-tuning method: what of a model is trained, and how what was trained is saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["Method"]


class Method(ABC):
    """``prepare`` before the loop, ``save`` after it. The loop itself is ``modelnook.training.loop`` for all of them."""

    name: ClassVar[str]
    default_learning_rate: ClassVar[float]

    def __init__(self, **knobs: Any) -> None:
        self.knobs = knobs

    @abstractmethod
    def prepare(self, model: Any) -> Any:
        """The model with what is trained marked (``requires_grad``), adapters added."""

    @abstractmethod
    def trainable_state(self, model: Any) -> dict[str, Any]:
        """What a checkpoint keeps: name -> tensor."""

    @abstractmethod
    def load_trainable(self, model: Any, state: dict[str, Any]) -> None:
        """Put a checkpoint's tensors back."""

    @abstractmethod
    def save(self, model: Any, tokenizer: Any, folder: Path) -> None:
        """Write a folder that stands alone: safetensors, config, tokenizer; adapters merged."""
