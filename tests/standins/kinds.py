"""Small models of the tasks whose rows aren't whole texts, and rows for each: images, sounds, words, questions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelnook.runtime.silence import silence
from modelnook.testing.media import tiny_audio_model, tiny_audio_rows, tiny_image_model, tiny_image_rows
from modelnook.testing.models import tiny_asked, tiny_model, tiny_tagged

__all__ = ["KINDS", "rows_of"]

TAGS = ["O", "B-ANIMAL", "B-SKY", "I-SKY"]


def headed(folder: Path, auto: str, labels: list[str] | None = None) -> Path:
    """A tiny encoder with another head, its numbers spread so that a difference would be seen."""
    import torch
    import transformers

    tiny_model(folder, labels)
    with silence(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = getattr(transformers, auto).from_pretrained(folder)
        for name, weight in model.named_parameters():
            if name.startswith(("classifier", "qa_outputs")) and weight.ndim == 2:
                weight.data.mul_(20)
        model.save_pretrained(folder)
    return folder


KINDS: dict[str, Callable[[Path], Path]] = {
    "audio-classification": lambda folder: tiny_audio_model(folder, ["low", "high"]),
    "image-classification": lambda folder: tiny_image_model(folder, ["cat", "dog"]),
    "question-answering": lambda folder: headed(folder, "AutoModelForQuestionAnswering"),
    "token-classification": lambda folder: headed(folder, "AutoModelForTokenClassification", TAGS),
}
"""Task -> what writes a random model for it."""


def rows_of(task: str) -> list[Any]:
    """Some rows as a runtime takes them; one text is longer than what the model reads at once."""
    from modelnook.tasks import TASKS

    if task == "audio-classification":
        return list(tiny_audio_rows(6)["audio"])
    if task == "image-classification":
        return list(tiny_image_rows(6)["image"])
    columns = tiny_tagged(8) if task == "token-classification" else tiny_asked(8)
    if task == "token-classification":
        columns["tokens"].append(["dog", "sun", "we"] * 60)
    else:
        columns["question"].append("is it he or she")
        columns["context"].append("sun dog we the " * 60)
    spec = TASKS.load(task, light=True)()
    return list(spec.as_rows({role: columns[role] for role in spec.inputs}))
