"""A classifying head of transformers, whatever the rows are: its labels, loss and logits."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch.nn import functional as F

from modelnook.tasks.base import Task
from modelnook.tasks.pretrained_heavy import load_config, load_model, load_tokenizer

__all__ = ["ClassificationTask"]


class ClassificationTask(Task):
    """What tasks of one label share; a task of its own says how its rows are encoded and collated."""

    auto: ClassVar[str]
    """The class of transformers that gives a model its head, e.g. ``AutoModelForSequenceClassification``."""
    no_head: ClassVar[str] = "task.no_head"
    """The message for a model that has no such head."""
    problem = "single_label_classification"
    """``problem_type`` of transformers' configs."""

    def load_classifier(self, path: str) -> Any:
        """The model; a head for the same labels is kept, any other is made anew.

        Without labels (a model to predict with) the folder's own are taken over.
        """
        config = load_config(path)
        self.configure(config)
        return load_model(path, config, self.auto, self.spec.name, no_head=self.no_head)

    def prepare(self, path: str) -> Any:
        """See :meth:`Task.prepare`."""
        config = load_config(path)
        self.configure(config)
        return self.processor_of(path, config)

    def processor_of(self, path: str, config: Any) -> Any:
        """What turns a row into numbers."""
        tokenizer = load_tokenizer(path)
        if config.pad_token_id is None:
            # Decoders find a row's last token by it.
            config.pad_token_id = tokenizer.pad_token_id
        return tokenizer

    def configure(self, config: Any) -> None:
        """Write into a folder's config what the head is for; for the labels see :meth:`load_classifier`."""
        known = [str(config.id2label[i]) for i in range(len(config.id2label))]
        if not self.labels or sorted(known) == sorted(self.labels):
            self.labels = known
        config.num_labels = len(self.labels)
        config.id2label = dict(enumerate(self.labels))
        config.label2id = {name: i for i, name in enumerate(self.labels)}
        config.problem_type = self.problem

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Mean cross entropy, in float32 whatever the logits' precision."""
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        return F.cross_entropy(model(**inputs).logits.float(), batch["labels"])

    def outputs(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Logits, float32 of shape (rows, classes)."""
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        logits: torch.Tensor = model(**inputs).logits
        return logits.float()
