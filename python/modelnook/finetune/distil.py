"""Distillation as a method: all of a student's weights are trained on what a teacher said of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.domain.errors import DataError
from modelnook.domain.event import Emit
from modelnook.finetune.base import Framed
from modelnook.finetune.full import Full
from modelnook.tasks.base import Task
from modelnook.training.taught import Taught

__all__ = ["Distil"]

Rows = dict[str, list[Any]]


class Distil(Full):
    """Handed to :func:`~modelnook.finetune.engine.fit`; no row of ``METHODS``, because it needs a teacher's answers.

    Args:
        said: the teacher's outputs for the training rows in their order, of shape (rows, classes), or (rows,) in the
            label's unit where the task is a number.
        labels: the names of its columns.
        known: of each row, whether its label is one; see :class:`~modelnook.training.taught.Taught`.
        temperature: of the softmaxes that are compared.
        share: what the teacher's part of the loss is, from 0 to 1.
    """

    name = "distil"

    def __init__(
        self, said: NDArray[np.float32], labels: Sequence[str], known: Sequence[bool], temperature: float, share: float
    ) -> None:
        super().__init__()
        self.said, self.labels, self.known = said, list(labels), list(known)
        self.temperature, self.share = temperature, share

    def frame(
        self, model: Any, task: Task, processor: Any, train: Rows, evaluation: Rows | None, device: Any, emit: Emit
    ) -> Framed:
        """See :meth:`Method.frame`: the rows get what the teacher said, its columns in the order of the task's labels.

        Raises:
            DataError: labels that the teacher doesn't know.
        """
        said = self.said
        if task.labels and said.ndim == 2:
            missing = [name for name in task.labels if name not in self.labels]
            if missing:
                raise DataError("shrink.unknown_labels", labels=", ".join(missing[:5]))
            said = said[:, [self.labels.index(name) for name in task.labels]]
        elif said.ndim == 1:
            said = ((said - task.learnt.get("mean", 0.0)) / task.learnt.get("std", 1.0))[:, None]
        rows = {**train, "teacher": list(said.astype(np.float32)), "known": self.known}
        return Framed(Taught(task, self.temperature, self.share), rows, evaluation)
