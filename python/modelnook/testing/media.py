"""Small random models of images and sounds, and rows of both, made in code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["tiny_image_model", "tiny_image_rows"]


def tiny_image_model(folder: Path, labels: Sequence[str] | None = None, *, kind: str = "vit", seed: int = 0) -> Path:
    """Write a random ViT or ResNet (``kind``) for images of 32 x 32 to ``folder``. Gives the folder."""
    import torch
    from transformers import (
        ResNetConfig,
        ResNetForImageClassification,
        ResNetModel,
        ViTConfig,
        ViTForImageClassification,
        ViTModel,
    )
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil
    from transformers.utils import logging

    if kind == "vit":
        config: Any = ViTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            image_size=32,
            patch_size=8,
        )
        kinds: Any = (ViTForImageClassification, ViTModel)
    else:
        config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
        kinds = (ResNetForImageClassification, ResNetModel)
    _name(config, labels)
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kinds[0 if labels else 1](config)
    model.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def tiny_image_rows(rows: int = 64, labels: Sequence[str] = ("cat", "dog"), seed: int = 0) -> dict[str, list[Any]]:
    """``{"image": PNG bytes, "label": …}``: noise with a bright band whose height in the image tells the label."""
    import numpy as np

    from modelnook.data.images import write

    rng = np.random.default_rng(seed)
    files, names = [], []
    for i in range(rows):
        pixels = rng.integers(0, 80, (24, 20), dtype=np.uint8)
        start = (i % len(labels)) * 24 // len(labels)
        pixels[start : start + 24 // len(labels)] += 120
        files.append(write(pixels))
        names.append(labels[i % len(labels)])
    return {"image": files, "label": names}


def _name(config: Any, labels: Sequence[str] | None) -> None:
    if labels:
        config.id2label = {i: str(name) for i, name in enumerate(labels)}
        config.label2id = {str(name): i for i, name in enumerate(labels)}
