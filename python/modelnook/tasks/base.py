"""A task: its columns, checks, metrics and what ``predict`` answers; and, heavy half, how it meets a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from modelnook.domain.event import Warned
from modelnook.domain.run import LOWER_IS_BETTER

__all__ = ["Spec", "Task"]


class Spec(ABC):
    """The light half: standard library and numpy only, so that magics, plans and the server may load it."""

    name: ClassVar[str]
    roles: ClassVar[tuple[str, ...]]
    """The column roles it needs, in the order in which they are asked for, e.g. ``("text", "label")``."""
    metrics: ClassVar[tuple[str, ...]]
    """Every metric name; the first is the primary metric."""
    predicts: ClassVar[tuple[str, ...]]
    """The columns of ``predict``."""

    @abstractmethod
    def check(self, columns: dict[str, Sequence[Any]]) -> list[Warned]:
        """Problems of role -> values that make training impossible raise DataError; the rest are returned."""

    @abstractmethod
    def labels(self, columns: dict[str, Sequence[Any]]) -> list[str]:
        """The label names of a training table, in the order of the model's outputs; empty where a task has none."""

    @abstractmethod
    def truth(self, columns: dict[str, Sequence[Any]], labels: Sequence[str]) -> Any:
        """The encoded targets, e.g. int64 of shape (rows,).

        Raises:
            DataError: a value that isn't among ``labels``, or a missing one; the row is named.
        """

    @abstractmethod
    def score(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, float]:
        """Metric name -> value.

        Args:
            truth: shape (rows,), the encoded targets.
            outputs: the model's outputs, shape (rows, …), e.g. logits (rows, classes).
            labels: the names of the outputs' columns.
        """

    def better(self, metric: str, new: float, old: float) -> bool:
        """Whether ``new`` beats ``old`` in ``metric``."""
        return new < old if metric in LOWER_IS_BETTER else new > old


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
        """``(model, tokenizer)`` with the task's head, from a local folder. Nothing of the folder is executed.

        Raises:
            NotFoundError: no ``config.json`` there.
            UnsupportedError: an architecture without this head, or weights that are only there as a pickle.
        """

    @abstractmethod
    def encode(self, tokenizer: Any, columns: dict[str, Sequence[Any]], max_length: int) -> dict[str, list[Any]]:
        """Tokenised rows: name -> list over rows, of unpadded lists, and ``labels`` where the column is there."""

    @abstractmethod
    def collate(self, tokenizer: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """One batch of CPU tensors, padded to its own longest row."""

    @abstractmethod
    def loss(self, model: Any, batch: dict[str, Any]) -> Any:
        """The mean loss over the batch's rows: a scalar float32 tensor to call ``backward`` on."""

    @abstractmethod
    def outputs(self, model: Any, batch: dict[str, Any]) -> Any:
        """The model's raw outputs, a float32 tensor of shape (rows, …); called without gradients."""

    @abstractmethod
    def predict_rows(self, outputs: Any) -> list[dict[str, Any]]:
        """The model's outputs as ``predict``'s columns, one dict a row."""
