"""What a loaded model runs on: the same calls whatever the weights' format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from modelnook.domain.errors import UnsupportedError
from modelnook.tasks import TASKS
from modelnook.tasks.spec import Spec

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
    def outputs(self, rows: Sequence[Any], *, batch_size: int | str = 32, sort: bool = True) -> Any:
        """The model's outputs in the order given: an array of shape (rows, …), e.g. float32 logits, or a list.

        Sorted by length into batches unless ``sort=False``; tokenising included.

        Args:
            rows: the value of the task's one input, or a dict of role -> value each.
        """

    def predict(self, rows: Sequence[Any], *, batch_size: int | str = "auto", **options: Any) -> list[dict[str, Any]]:
        """One dict a row with the task's predict columns."""
        spec = self.spec()
        return spec.answers(self.outputs(rows, batch_size=batch_size), self.labels, rows) if len(rows) else []

    def stream(self, row: Any, **options: Any) -> Generator[str, None, str]:
        """What a model that writes answers to one row, in pieces as they come; together they are ``predict``'s text.

        Args:
            options: those of :meth:`predict`, without ``batch_size``.

        Returns:
            Why it ended: ``stop`` at an end of text, ``length`` where there was no room for more.

        Raises:
            UnsupportedError: its answer comes whole.
        """
        raise UnsupportedError("task.cant_stream", task=self.task)

    def spec(self) -> Spec:
        """The task's light half.

        Raises:
            UnsupportedError: no task, or one that isn't known here.
        """
        if self.task is None or self.task not in TASKS:
            raise UnsupportedError("runtime.no_task", task=self.task or "-", known=", ".join(TASKS))
        spec: Spec = TASKS.load(self.task, light=True)()
        return spec

    def layers(self) -> str:
        """The layer tree as text."""
        return ""

    @abstractmethod
    def close(self) -> None:
        """Give the memory back."""
