"""A task whose rows come with what a teacher said of them: the student learns that beside, or in place of, labels.

The loss is ``share`` of what the teacher says and the rest of what the labels say (Hinton, Vinyals and Dean 2015,
arXiv:1503.02531, section 2): between softmaxes at a temperature, whose gradients are brought back to scale by its
square; between sigmoids where labels are independent; the squared error of a number.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from modelnook.tasks.base import Task

__all__ = ["Taught"]

Rows = dict[str, list[Any]]
Soft = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]

TEACHER, KNOWN = "teacher", "known"


def _classes(logits: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    said = F.log_softmax(teacher / temperature, dim=-1)
    found = F.log_softmax(logits / temperature, dim=-1)
    return F.kl_div(found, said, reduction="batchmean", log_target=True) * temperature**2


def _labels(logits: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    said = torch.sigmoid(teacher / temperature)
    return F.binary_cross_entropy_with_logits(logits / temperature, said) * temperature**2


def _numbers(logits: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    return F.mse_loss(logits, teacher)


_SOFT: dict[str, Soft] = {
    "multi_label_classification": _labels,
    "regression": _numbers,
    "single_label_classification": _classes,
}


class Taught:
    """A task of :class:`~modelnook.tasks.classification_heavy.ClassificationTask`'s kind, with a teacher.

    Its training rows have ``teacher``, what the teacher's head gave for the row (float32 of shape (outputs,)), and
    ``known``, whether the row's own label is one; others teach by the teacher alone.
    """

    def __init__(self, task: Task, temperature: float, share: float) -> None:
        self.task, self.temperature, self.share = task, temperature, share
        self.soft = _SOFT[task.problem]  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def collate(self, processor: Any, rows: Rows) -> dict[str, Any]:
        """The batch, with ``teacher`` of shape (rows, outputs) and ``known`` of shape (rows,) where rows have them."""
        batch = self.task.collate(processor, {n: v for n, v in rows.items() if n not in (TEACHER, KNOWN)})
        if TEACHER in rows:
            batch[TEACHER] = torch.from_numpy(np.stack(rows[TEACHER]))
            batch[KNOWN] = torch.tensor(rows[KNOWN], dtype=torch.bool)
        return batch

    def weight(self, rows: Rows) -> float:
        """The rows: a mean over them."""
        return float(len(rows[TEACHER]))

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """See the module; in float32, one pass through the model."""
        logits = model(**{n: v for n, v in batch.items() if n not in (TEACHER, KNOWN, "labels")}).logits.float()
        known = batch[KNOWN]
        total = self.share * self.soft(logits, batch[TEACHER], self.temperature)
        if known.any() and self.share < 1:
            said = SimpleNamespace(logits=logits[known])
            hard = self.task.loss(lambda: said, {"labels": batch["labels"][known]})
            total = total + (1 - self.share) * known.float().mean() * hard
        return total
