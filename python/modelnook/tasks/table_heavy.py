"""Tables, the heavy half: rows as text for a sequence-classification head, rare labels with more weight."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from modelnook.tasks.spec import Columns
from modelnook.tasks.table import TableClassification
from modelnook.tasks.text_classification_heavy import TextClassificationTask

__all__ = ["TableTask"]


class TableTask(TextClassificationTask):
    """See :class:`TextClassificationTask`; what a row's text says is learnt in training and kept."""

    spec = TableClassification

    def encode(self, processor: Any, columns: Columns, max_length: int) -> dict[str, list[Any]]:
        """``input_ids`` of each row's text, and ``labels`` where they are given."""
        spec = self.spec()
        texts = spec.worded(spec.as_rows(columns), self.learnt)
        given = {"label": columns["label"]} if "label" in columns else {}
        return super().encode(processor, {"text": texts, **given}, max_length)

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Weighted mean of the cross entropy, in float32."""
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        logits = model(**inputs).logits.float()
        return F.cross_entropy(logits, batch["labels"], weight=self._weights().to(logits.device))

    def weight(self, rows: dict[str, list[Any]]) -> float:
        """The sum of the rows' weights, which the mean divides by."""
        return float(self._weights()[rows["labels"]].sum())

    def _weights(self) -> torch.Tensor:
        known = self.learnt.get("weights") or {}
        return torch.tensor([float(known.get(name, 1.0)) for name in self.labels])
