"""What a model can be trained for. A row is a light half (columns, checks, metrics) and a heavy half (torch)."""

from __future__ import annotations

from typing import Any

from modelnook.registry import Entry, Registry

__all__ = ["TASKS"]

_TRAIN = ("torch", "transformers")

TASKS: Registry[Any] = Registry(
    "task",
    {
        "image-classification": Entry(
            "modelnook.tasks.image_classification_heavy:ImageClassificationTask",
            "one of two or more labels for an image",
            requires=(*_TRAIN, "PIL"),
            extra="vision",
            light="modelnook.tasks.image_classification:ImageClassification",
        ),
        "text-classification": Entry(
            "modelnook.tasks.text_classification_heavy:TextClassificationTask",
            "one of two or more labels for a text",
            requires=_TRAIN,
            extra="train",
            light="modelnook.tasks.text_classification:TextClassification",
        ),
    },
)
"""``TASKS.load(name)`` is the :class:`~modelnook.tasks.base.Task`, ``load(name, light=True)`` its ``Spec``."""
