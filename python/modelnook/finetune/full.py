"""Full fine-tuning: every weight is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.finetune.base import Method
from modelnook.tasks.base import Task
from modelnook.tasks.pretrained_heavy import save_pretrained

__all__ = ["Full", "save_pretrained"]


class Full(Method):
    """The method to take where memory holds four times the weights: gradients and two moments beside them."""

    name = "full"

    def prepare(self, model: Any, task: Task) -> Any:
        """All parameters need gradients."""
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        return model

    def save(self, model: Any, processor: Any, folder: Path) -> None:
        """See :meth:`Method.save`."""
        save_pretrained(model, processor, folder)
