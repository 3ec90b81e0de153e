"""A model's raw outputs as ``predict``'s rows, with numpy alone: a quantized model answers without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelnook.domain.errors import UnsupportedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ANSWERS", "answers", "label_names", "softmax"]


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities of each row's classes; shape (rows, classes), computed in float64."""
    import numpy as np

    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    grown = np.exp(shifted)
    total: NDArray[np.float64] = grown / grown.sum(axis=1, keepdims=True)
    return total


def label_names(labels: Sequence[str], classes: int) -> list[str]:
    """``labels``, or ``LABEL_0 …`` where a model carries none for its outputs."""
    return list(labels) if len(labels) == classes else [f"LABEL_{i}" for i in range(classes)]


def _classification(outputs: NDArray[Any], labels: Sequence[str]) -> list[dict[str, Any]]:
    names = label_names(labels, outputs.shape[1])
    rows = softmax(outputs)
    best = rows.argmax(axis=1).tolist()
    return [
        {"label": names[top], "score": scores[top], "scores": dict(zip(names, scores, strict=True))}
        for top, scores in zip(best, rows.tolist(), strict=True)
    ]


ANSWERS = {"text-classification": _classification}


def answers(task: str | None, outputs: NDArray[Any], labels: Sequence[str]) -> list[dict[str, Any]]:
    """One dict a row with the task's predict columns.

    Raises:
        UnsupportedError: a task that has no such form here.
    """
    if task not in ANSWERS:
        raise UnsupportedError("runtime.no_task", task=task or "-", known=", ".join(ANSWERS))
    return ANSWERS[task](outputs, labels) if len(outputs) else []
