"""Sounds as a model's inputs: decoded batch by batch, brought to its rate, prepared by its own feature extractor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from modelnook.data.sounds import decode, seconds
from modelnook.domain.errors import DataError
from modelnook.tasks.audio_classification import LONGEST, frames

__all__ = ["heard", "lengths", "repeatable"]

SHORTEST = 0.25
"""Seconds; shorter sounds are filled up: fewer frames than a mask in training has length are an error."""


def heard(extractor: Any, rows: Mapping[str, Sequence[Any]]) -> dict[str, torch.Tensor]:
    """``input_values`` or ``input_features`` of the rows' ``audio``, and a mask where the model takes one.

    Of each the first 30 seconds, or those of its ``window``.

    Raises:
        DataError: a sound that can't be decoded; its ``row`` is named.
    """
    rate = int(extractor.sampling_rate)
    windows = rows.get("window") or [0] * len(rows["audio"])
    found = zip(rows["audio"], rows["row"], windows, strict=True)
    sounds = [_samples(blob, rate, row, window) for blob, row, window in found]
    # Whisper's windows are of one length, whatever is in them.
    padding = {} if hasattr(extractor, "n_samples") else {"padding": True}
    # Whisper's extractor computes with torch, and numpy has no bfloat16.
    with torch.autocast("cpu", enabled=False):
        made = extractor(sounds, sampling_rate=rate, return_tensors="pt", **padding)
    names = [name for name in made if name in ("input_values", "input_features", "attention_mask")]
    return {name: made[name].to(torch.int64 if name == "attention_mask" else torch.float32) for name in names}


def lengths(
    config: Mapping[str, Any], rate: int, files: Sequence[bytes], windows: Sequence[int] | None = None
) -> list[int]:
    """The frames that the model makes of each sound's window of 30 seconds, the first by default; by their heads."""
    found = []
    for at, blob in enumerate(files):
        left = seconds(blob) - LONGEST * (windows[at] if windows else 0)
        samples = int(np.ceil(min(left, LONGEST) * rate))
        found.append(frames(config, max(samples, int(SHORTEST * rate))))
    return found


def repeatable(model: Any) -> None:
    """Have transformers' masks of time, which are drawn by numpy, follow from torch's generator: a run with the same
    seed, and one that was resumed, draw the same."""
    if model.training:
        np.random.seed(int(torch.randint(2**31, ()).item()))


def _samples(blob: bytes, rate: int, row: int, window: int) -> Any:
    try:
        found = decode(blob, rate)[window * LONGEST * rate : (window + 1) * LONGEST * rate]
    except ValueError as error:
        raise DataError("data.not_audio", column="audio", row=row, error=error) from None
    short = int(SHORTEST * rate) - len(found)
    return np.pad(found, (0, short)) if short > 0 else found
