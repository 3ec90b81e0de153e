"""Fine-tuning: a plan, a method, and the engine that brings task, method and loop together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelnook.registry import Entry, Registry

if TYPE_CHECKING:
    from modelnook.finetune.base import Method

__all__ = ["METHODS"]

METHODS: Registry[type[Method]] = Registry(
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
    },
)
