"""Eight to sixty-four examples a class: rows of one class are drawn together, rows of others apart.

The loss is that of Gunel et al., "Supervised Contrastive Learning for Pre-trained Language Model Fine-tuning", 2021
(arXiv:2011.01403): cross entropy, and the supervised contrastive loss of Khosla et al. 2020 (arXiv:2004.11362) on what
the classifier reads, mixed. Every row comes with a partner of its class, so that a batch always has pairs. What the
classifier reads is the mean of the tokens where the body was trained for that, see :mod:`modelnook.finetune.averaged`.
"""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit
from modelnook.domain.knobs import own_knobs
from modelnook.finetune.averaged import averaged
from modelnook.finetune.base import Framed
from modelnook.finetune.costs import partners
from modelnook.finetune.full import Full
from modelnook.tasks.base import Task

__all__ = ["FewShot"]

Rows = dict[str, list[Any]]


class FewShot(Full):
    """Knobs: ``mix``, the contrastive loss's share; ``temperature``, what cosines are divided by in it."""

    name = "few-shot"
    options = ("mix", "temperature")

    def prepare(self, model: Any, task: Task) -> Any:
        """See :meth:`Method.prepare`; a layer more may be there."""
        return super().prepare(averaged(model), task)

    def frame(
        self, model: Any, task: Task, processor: Any, train: Rows, evaluation: Rows | None, device: Any, emit: Emit
    ) -> Framed:
        """See :meth:`Method.frame`: pairs of one class in place of rows."""
        if not task.new_head or not isinstance(train["labels"][0], int):
            raise UnsupportedError("train.no_head_method", method=self.name, task=task.spec.name)
        own = {name: float(value) for name, value in own_knobs(self.name, self.knobs).items()}
        return Framed(Contrastive(task, _classifier(model), **own), _paired(train), evaluation)


class Contrastive:
    """A task whose training rows are pairs; evaluation rows are the task's own."""

    cuts_vocabulary = False

    def __init__(self, task: Task, classifier: nn.Module, mix: float, temperature: float) -> None:
        self.task, self.classifier, self.mix, self.temperature = task, classifier, mix, temperature

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def lengths(self, rows: Rows) -> list[int]:
        """See :meth:`Task.lengths`; of a pair, the longer one's."""
        one = self.task.lengths(rows)
        if "other" not in rows:
            return one
        return [max(pair) for pair in zip(one, self.task.lengths(_others(rows)), strict=True)]

    def collate(self, processor: Any, rows: Rows) -> dict[str, Any]:
        """Both rows of each pair, as one batch of the task."""
        if "other" in rows:
            second = _others(rows)
            rows = {name: [*values, *second[name]] for name, values in rows.items() if name != "other"}
        return self.task.collate(processor, rows)

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Cross entropy and the contrastive loss of what the classifier reads, mixed."""
        seen: list[torch.Tensor] = []
        handle = self.classifier.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        try:
            plain: torch.Tensor = self.task.loss(model, batch)
        finally:
            handle.remove()
        return (1 - self.mix) * plain + self.mix * contrast(seen[0], batch["labels"], self.temperature)


def contrast(features: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    """The supervised contrastive loss (L_out of Khosla et al., equation 2); ``features``: shape (rows, width)."""
    unit = F.normalize(features.float(), dim=-1)
    near = unit @ unit.T / temperature
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    near = near.masked_fill(itself, float("-inf"))
    logs = near - torch.logsumexp(near, dim=1, keepdim=True)
    same = (labels[:, None] == labels[None, :]) & ~itself
    of_each = -logs.masked_fill(~same, 0.0).sum(dim=1) / same.sum(dim=1).clamp(min=1)
    return of_each[same.any(dim=1)].mean()


def _classifier(model: Any) -> nn.Module:
    """The last linear layer."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return layers[-1]


def _paired(rows: Rows) -> Rows:
    """Each row as often as there are to be pairs of it, with another one of its class (itself where it is alone)."""
    labels = rows["labels"]
    by_label: dict[int, list[int]] = {}
    for i, label in enumerate(labels):
        by_label.setdefault(label, []).append(i)
    drawn = random.Random(0)
    first, second = [], []
    for _ in range(partners(len(labels))):
        for i, label in enumerate(labels):
            others = [j for j in by_label[label] if j != i]
            first.append(i)
            second.append(drawn.choice(others) if others else i)
    pairs = {name: [values[i] for i in first] for name, values in rows.items()}
    pairs["other"] = [{name: values[j] for name, values in rows.items()} for j in second]
    return pairs


def _others(rows: Rows) -> Rows:
    return {name: [row[name] for row in rows["other"]] for name in rows["other"][0]}
