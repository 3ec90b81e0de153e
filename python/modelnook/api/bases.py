"""``ref="auto"``: which of the models on this machine to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.domain.errors import DataError, NotFoundError
from modelnook.domain.model import ModelInfo
from modelnook.messages import t

__all__ = ["choose_base"]

_ENCODERS = ("feature-extraction", "fill-mask", "sentence-similarity")
_BASES = {
    "text-generation": ("text-generation",),
    "text2text-generation": ("text2text-generation", "translation", "summarization"),
    "image-classification": ("image-classification", "image-feature-extraction"),
    "audio-classification": ("audio-classification", "automatic-speech-recognition"),
    "automatic-speech-recognition": ("automatic-speech-recognition",),
}
"""Task -> tasks of the models that it can start from; encoders for the others."""

READ = 0.05
"""The most of the texts' tokens that may be unknown to a base."""

SAMPLE = 500


def choose_base(task: str, texts: list[str] | None, rows: int) -> tuple[str, str]:
    """``(reference, why in one sentence)``: of the models here that can read these texts and that memory can train,
    the largest; nothing is downloaded and the hub isn't asked.

    Raises:
        NotFoundError: no model here can be trained for the task.
        DataError: none of those can read the texts; the best one and its share are named.
    """
    from modelnook.finetune.plan import measure_lengths
    from modelnook.measure.memory import free, need

    kinds = _BASES.get(task, _ENCODERS)
    left = free()
    held = [m for m in _here() if m.task in kinds and m.path and m.parameters]
    fitting = [m for m in held if left is None or need(m.parameters or 0).lora < 0.8 * left]
    if not fitting:
        raise NotFoundError("train.no_base", task=task)
    step = max(1, rows // SAMPLE)
    unread = {m.ref: measure_lengths(Path(m.path or ""), texts[::step]).unknown if texts else 0.0 for m in fitting}
    best = min(fitting, key=lambda m: (unread[m.ref] > READ, -(m.parameters or 0) if unread[m.ref] <= READ else 0))
    if unread[best.ref] > READ:
        best = min(fitting, key=lambda m: unread[m.ref])
        raise DataError("train.no_reader", model=best.ref, percent=round(100 * unread[best.ref]))
    size = f"{(best.parameters or 0) / 1e6:.0f}M"
    return best.ref, t("train.chosen_base", model=best.ref, parameters=size, count=len(held))


def _here() -> list[ModelInfo]:
    """What is on this machine, without the models that were trained for something else."""
    from modelnook.catalog.base import Query
    from modelnook.catalog.search import search

    found: list[Any] = []
    for name in ("local", "pip"):
        found += search(Query(limit=500), name).items
    return [m for m in found if not m.run or m.task == "fill-mask"]
