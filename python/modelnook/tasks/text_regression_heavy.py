"""Text regression, the heavy half: one output that learns standard scores."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from modelnook.tasks.spec import Columns
from modelnook.tasks.text_classification_heavy import TextClassificationTask
from modelnook.tasks.text_regression import TextRegression

__all__ = ["TextRegressionTask"]


class TextRegressionTask(TextClassificationTask):
    """A sequence-classification head of one output, as transformers has it for regression."""

    spec = TextRegression
    problem = "regression"
    target = torch.float32

    def configure(self, config: Any) -> None:
        """One output. A head of another size is made anew."""
        config.num_labels = 1
        config.problem_type = self.problem

    def encode(self, processor: Any, columns: Columns, max_length: int) -> dict[str, list[Any]]:
        """See :meth:`TextClassificationTask.encode`; ``labels`` are standard scores."""
        rows = super().encode(processor, columns, max_length)
        if "labels" in rows:
            mean, std = self.learnt.get("mean", 0.0), self.learnt.get("std", 1.0)
            rows["labels"] = [(value - mean) / std for value in rows["labels"]]
        return rows

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Mean squared error of standard scores, in float32."""
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        return F.mse_loss(model(**inputs).logits.float()[:, 0], batch["labels"])

    def outputs(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Numbers in the label's unit, float32 of shape (rows,)."""
        scores = super().outputs(model, batch)[:, 0]
        return scores * float(self.learnt.get("std", 1.0)) + float(self.learnt.get("mean", 0.0))
