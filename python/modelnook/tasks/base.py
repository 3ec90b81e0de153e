"""A task: which columns it needs, what its metrics are, what ``predict`` answers; and, heavy half, how it meets a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

__all__ = ["Spec", "Task"]


class Spec(ABC):
    """The light half: standard library and numpy only, so that magics, plans and the server may load it."""

    name: ClassVar[str]
    roles: ClassVar[tuple[str, ...]]
    """The column roles it needs, in the order in which they are asked for, e.g. ``("text", "label")``."""
    metrics: ClassVar[tuple[str, ...]]
    """Every metric name; the first is the primary metric."""
    greater_is_better: ClassVar[dict[str, bool]] = {}
    predicts: ClassVar[tuple[str, ...]]
    """The columns of ``predict``."""

    @abstractmethod
    def check(self, columns: dict[str, Sequence[Any]]) -> list[Any]:
        """Problems of role -> values that make training impossible raise DataError; the rest are returned as Warned."""

    @abstractmethod
    def score(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, float]:
        """Metric name -> value.

        Args:
            truth: shape (rows,), the encoded targets.
            outputs: the model's outputs, shape (rows, …), e.g. logits (rows, classes).
        """


class Task(ABC):
    """The heavy half, reached through the registry only.

    Args:
        labels: the label names in the order of the model's outputs.
    """

    spec: ClassVar[type[Spec]]

    def __init__(self, labels: Sequence[str] = ()) -> None:
        self.labels = list(labels)

    @abstractmethod
    def load(self, path: str, **options: Any) -> tuple[Any, Any]:
        """``(model, tokenizer)`` with the task's head, from a local folder."""

    @abstractmethod
    def encode(self, tokenizer: Any, columns: dict[str, Sequence[Any]], max_length: int) -> dict[str, list[Any]]:
        """Tokenised rows: name -> list over rows, of unpadded lists, and ``labels`` where the column is there."""

    @abstractmethod
    def collate(self, tokenizer: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """One padded batch of tensors."""

    @abstractmethod
    def predict_rows(self, outputs: Any) -> list[dict[str, Any]]:
        """The model's outputs as ``predict``'s columns, one dict a row."""
