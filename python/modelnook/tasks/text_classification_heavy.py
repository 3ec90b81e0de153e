"""Text classification, the heavy half: how texts and labels meet a model of transformers."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from modelnook.tasks.base import Columns, Task
from modelnook.tasks.padding_heavy import padded
from modelnook.tasks.pretrained_heavy import load_config, load_model, load_tokenizer
from modelnook.tasks.text import encode_pairs, encode_texts
from modelnook.tasks.text_classification import TextClassification

__all__ = ["TextClassificationTask"]


class TextClassificationTask(Task):
    """A sequence-classification head on any encoder (or decoder) that transformers has one for."""

    spec = TextClassification
    cuts_vocabulary = True

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

    def encode(self, processor: Any, columns: Columns, max_length: int) -> dict[str, list[Any]]:
        """``input_ids`` (unpadded lists of at most ``max_length`` ints) and ``labels`` (ints) where they are given.

        Pairs have ``token_type_ids`` as well where the model tells its two texts apart by them.
        """
        if "text_pair" in columns:
            rows = encode_pairs(processor, columns["text"], columns["text_pair"], max_length)
        else:
            rows = {"input_ids": encode_texts(processor, columns["text"], max_length)}
        if "label" in columns:
            rows["labels"] = self.spec().truth(columns, self.labels).tolist()
        return rows

    def collate(self, processor: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """See :func:`~modelnook.tasks.padding_heavy.padded`; ``labels`` are int64 of shape (rows,)."""
        batch = padded(processor, rows)
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
