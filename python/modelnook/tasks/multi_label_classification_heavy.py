"""Multi-label classification, the heavy half: a logit for each label, each with a loss of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from modelnook.tasks.multi_label_classification import MultiLabelClassification
from modelnook.tasks.text_classification_heavy import TextClassificationTask

__all__ = ["MultiLabelClassificationTask"]


class MultiLabelClassificationTask(TextClassificationTask):
    """A sequence-classification head whose outputs are independent of one another."""

    spec = MultiLabelClassification
    problem = "multi_label_classification"
    target = torch.float32

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Mean binary cross entropy over rows and labels, in float32."""
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        return F.binary_cross_entropy_with_logits(model(**inputs).logits.float(), batch["labels"])
