"""Text classification, the heavy half: how texts and labels meet a model of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from modelnook.tasks.base import Task
from modelnook.tasks.pretrained_heavy import load_config, load_model, load_tokenizer
from modelnook.tasks.text import encode_texts
from modelnook.tasks.text_classification import TextClassification

__all__ = ["TextClassificationTask"]


class TextClassificationTask(Task):
    """A sequence-classification head on any encoder (or decoder) that transformers has one for."""

    spec = TextClassification

    def load(self, path: str, **options: Any) -> tuple[Any, Any]:
        """See :meth:`Task.load`; a head for the same labels is kept, any other is made anew.

        Without labels (a model to predict with) the folder's own are taken over.
        """
        config = load_config(path)
        known = [str(config.id2label[i]) for i in range(len(config.id2label))]
        if not self.labels or sorted(known) == sorted(self.labels):
            self.labels = known
        config.num_labels = len(self.labels)
        config.id2label = dict(enumerate(self.labels))
        config.label2id = {name: i for i, name in enumerate(self.labels)}
        config.problem_type = "single_label_classification"
        model = load_model(path, config, "AutoModelForSequenceClassification", self.spec.name)
        tokenizer = load_tokenizer(path)
        if model.config.pad_token_id is None:
            # Decoders find a row's last token by it.
            model.config.pad_token_id = tokenizer.pad_token_id
        return model, tokenizer

    def encode(self, tokenizer: Any, columns: dict[str, Sequence[Any]], max_length: int) -> dict[str, list[Any]]:
        """``input_ids`` (unpadded lists of at most ``max_length`` ints) and ``labels`` (ints) where they are given."""
        rows: dict[str, list[Any]] = {"input_ids": encode_texts(tokenizer, columns["text"], max_length)}
        if "label" in columns:
            rows["labels"] = self.spec().truth(columns, self.labels).tolist()
        return rows

    def collate(self, tokenizer: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """``input_ids``, and ``attention_mask`` where lengths differ: int64 (rows, longest); ``labels``: (rows,)."""
        ids = rows["input_ids"]
        sizes = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        longest = int(sizes.max())
        mask = np.arange(longest) < sizes[:, None]
        left = tokenizer.padding_side == "left"
        if left:
            mask = mask[:, ::-1]
        padded = np.full((len(ids), longest), tokenizer.pad_token_id, dtype=np.int64)
        padded[mask] = np.concatenate(ids)
        batch = {"input_ids": torch.from_numpy(padded)}
        if int(sizes.min()) != longest:
            # Rows of one length need no mask, and attention without one is faster.
            batch["attention_mask"] = torch.from_numpy(np.ascontiguousarray(mask, dtype=np.int64))
        if "labels" in rows:
            batch["labels"] = torch.tensor(rows["labels"], dtype=torch.int64)
        return batch

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Mean cross entropy, in float32 whatever the logits' precision."""
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        return F.cross_entropy(model(**inputs).logits.float(), batch["labels"])

    def outputs(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Logits, float32 of shape (rows, classes)."""
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        logits: torch.Tensor = model(**inputs).logits
        return logits.float()

    def predict_rows(self, outputs: Any) -> list[dict[str, Any]]:
        """``label``, its ``score`` (softmax) and ``scores`` of all labels from logits of shape (rows, classes)."""
        logits = np.asarray(outputs, dtype=np.float64)
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = exp / exp.sum(axis=1, keepdims=True)
        best = shares.argmax(axis=1)
        return [
            {
                "label": self.labels[i],
                "score": float(row[i]),
                "scores": {name: float(v) for name, v in zip(self.labels, row, strict=True)},
            }
            for i, row in zip(best.tolist(), shares, strict=True)
        ]
