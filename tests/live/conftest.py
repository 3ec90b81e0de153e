"""A run that lives through given states, one a look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from modelnook.domain.run import RunRecord


class FakeRun:
    """What screens see of ``modelnook.run.Run``."""

    __module__ = "modelnook.run"
    __qualname__ = "Run"

    def __init__(self, *states: str, error: Exception | None = None) -> None:
        self.id, self.note = "k3v9x2ab", ""
        self._states, self._error = list(states), error
        self.seen = RunRecord(self.id, "topics", "finetune", states[0], primary_metric="accuracy")
        self.folder = SimpleNamespace(series=_Series())
        self._set(states[0])

    def _set(self, state: str) -> None:
        progress = {"phase": "training", "step": 120, "total": 375, "loss": 0.3} if state == "running" else None
        metrics = {"accuracy": 0.98} if state == "finished" else {}
        self.seen = replace(self.seen, state=state, progress=progress, metrics=metrics)

    @property
    def record(self) -> RunRecord:
        return self.seen

    def step(self) -> None:
        """On to the next state."""
        self._states.pop(0)
        self._set(self._states[0])

    def wait(self, on_update: Callable[[Any], None], every: float) -> FakeRun:
        while len(self._states) > 1:
            self.step()
            on_update(self)
        return self.checked()

    def checked(self) -> FakeRun:
        if self._error:
            raise self._error
        return self

    def to_dict(self) -> dict[str, Any]:
        return self.seen.to_dict()


class _Series:
    def names(self) -> list[str]:
        return ["eval_accuracy", "learning_rate", "loss"]

    def total(self) -> int:
        return 3

    def sampled(self, points: int = 500, names: list[str] | None = None) -> dict[str, Any]:
        return {
            n: {"step": [1, 2, 3], "time": [0.1, 0.2, 0.3], "value": [0.9, 0.5, 0.3]} for n in names or self.names()
        }
