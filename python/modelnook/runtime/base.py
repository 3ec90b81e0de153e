"""What a loaded model runs on: the same calls whatever the weights' format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["Runtime"]


class Runtime(ABC):
    """A model folder, loaded. ``formats`` are the ``ModelInfo.formats`` that it runs.

    Args:
        path: the model's folder.
        device: ``cpu``, ``cuda``, ``mps`` or ``auto``.
        threads: CPU threads; None leaves the library's default capped at this process's cores.
    """

    name: ClassVar[str]
    formats: ClassVar[tuple[str, ...]]

    def __init__(
        self, path: Path, *, task: str | None = None, device: str = "auto", threads: int | None = None
    ) -> None:
        self.path = path
        self.task = task

    labels: list[str]
    max_length: int
    device: str

    @abstractmethod
    def outputs(self, rows: Sequence[Any], *, batch_size: int = 32, sort: bool = True) -> Any:
        """Raw outputs as a numpy array, shape (rows, …) in the order given, e.g. float32 logits (rows, classes).

        Sorted by length into batches unless ``sort=False``; tokenising included.
        """

    @abstractmethod
    def predict(self, rows: Sequence[Any], *, batch_size: int | str = "auto") -> list[dict[str, Any]]:
        """One dict a row with the task's predict columns."""

    def layers(self) -> str:
        """The layer tree as text."""
        return ""

    @abstractmethod
    def close(self) -> None:
        """Give the memory back."""
