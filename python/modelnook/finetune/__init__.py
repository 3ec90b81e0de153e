"""Fine-tuning: a plan, a method, and the engine that brings task, method and loop together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelnook.registry import Entry, Registry

if TYPE_CHECKING:
    from modelnook.classic.base import Classic
    from modelnook.finetune.base import Method

__all__ = ["METHODS", "alone"]

METHODS: Registry[type[Method] | type[Classic]] = Registry(
    "method",
    {
        "dora": Entry(
            "modelnook.finetune.lora:Dora",
            "LoRA that learns how long each weight vector is on its own; nearer to full, slower",
            requires=("torch", "transformers", "peft"),
            extra="train",
        ),
        "few-shot": Entry(
            "modelnook.finetune.few_shot:FewShot",
            "for 8 to 64 examples a class: all weights, drawn together by class and apart from others",
            requires=("torch", "transformers"),
            extra="train",
        ),
        "full": Entry(
            "modelnook.finetune.full:Full", "all weights are trained", requires=("torch", "transformers"), extra="train"
        ),
        "head": Entry(
            "modelnook.finetune.frozen:Head",
            "the body stays as it is and is run once; what reads it is trained: the quickest",
            requires=("torch", "transformers"),
            extra="train",
        ),
        "last-k": Entry(
            "modelnook.finetune.frozen:LastK",
            "the last layers are trained (two of them), the ones before are run once",
            requires=("torch", "transformers"),
            extra="train",
        ),
        "lora": Entry(
            "modelnook.finetune.lora:Lora",
            "small matrices beside the weights are trained, and merged at the end; needs less memory",
            requires=("torch", "transformers", "peft"),
            extra="train",
        ),
        "qlora": Entry(
            "modelnook.finetune.qlora:QLora",
            "LoRA beside weights held in four bits: large models on a small GPU",
            requires=("torch", "transformers", "peft", "bitsandbytes"),
            extra="qlora",
            gpu=True,
        ),
        "rslora": Entry(
            "modelnook.finetune.lora:RsLora",
            "LoRA with thicker matrices, scaled so that their size pays: for models that write",
            requires=("torch", "transformers", "peft"),
            extra="train",
        ),
        "tfidf": Entry(
            "modelnook.classic.tfidf:Tfidf",
            "no base model: a linear model on words, on characters where a script has no spaces; seconds",
            requires=("numpy", "sklearn", "safetensors"),
            extra="train",
            alone=True,
        ),
        "trees": Entry(
            "modelnook.classic.trees:Trees",
            "no base model: gradient-boosted trees on a table's columns as they are; seconds",
            requires=("numpy", "sklearn", "safetensors"),
            extra="train",
            alone=True,
        ),
    },
)


def alone(method: str | None) -> bool:
    """Whether a method learns from the rows without a base model.

    >>> alone("tfidf"), alone("full"), alone("auto")
    (True, False, False)
    """
    return method in METHODS and METHODS[method or ""].alone
