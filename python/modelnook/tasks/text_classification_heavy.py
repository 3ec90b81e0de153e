"""Text classification, the heavy half: how texts and labels meet a model of transformers."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from modelnook.tasks.classification_heavy import ClassificationTask
from modelnook.tasks.padding_heavy import padded
from modelnook.tasks.spec import Columns, Spec
from modelnook.tasks.text import encode_pairs, encode_texts
from modelnook.tasks.text_classification import TextClassification

__all__ = ["TextClassificationTask"]


class TextClassificationTask(ClassificationTask):
    """A sequence-classification head on any encoder (or decoder) that transformers has one for."""

    spec: ClassVar[type[Spec]] = TextClassification
    auto = "AutoModelForSequenceClassification"
    cuts_vocabulary = True
    target = torch.int64
    """What a row's encoded target is in a batch."""

    def load(self, path: str, **options: Any) -> tuple[Any, Any]:
        """See :meth:`Task.load` and :meth:`ClassificationTask.load_classifier`."""
        model = self.load_classifier(path)
        return model, self.processor_of(path, model.config)

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
        """See :func:`~modelnook.tasks.padding_heavy.padded`; ``labels`` of shape (rows,) or (rows, labels)."""
        batch = padded(processor, rows)
        if "labels" in rows:
            batch["labels"] = torch.tensor(rows["labels"], dtype=self.target)
        return batch
