"""What a model says had it fewer tokens to choose from, to compare one beside it that was trimmed.

A trimmed model that writes, or tells hidden words, divides one among fewer tokens: each has a larger share by that
alone, and perplexity falls, whatever was lost. Beside the first model with its softmax over the same tokens that is on
both sides: where a text is divided as before the two come to the same, and what a text in smaller pieces costs is left.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from modelnook.runtime.batches import room
from modelnook.runtime.folder import max_length
from modelnook.runtime.transformers import load_trained
from modelnook.shrink.trim import WRITES, Columns
from modelnook.tasks.padding_heavy import IGNORE
from modelnook.tasks.pretrained_heavy import load_tokenizer
from modelnook.training.evaluation import TOKENS, outputs_of

__all__ = ["limited"]

_WHOLE = 2**40
"""Longer than any text."""


def limited(first: Path, trimmed: Path, *, task: str, columns: Columns, device: str = "cpu") -> Any:
    """The negative log-likelihood and the tokens of each row, of the model in ``first`` with a softmax over the tokens
    of ``trimmed``; None for other tasks.

    A token that was cut is chosen among all, as it can't be among the others. Of a text that is too long for its new
    division the part is told that is still read.
    """
    if task not in WRITES:
        return None
    heavy, model, processor = load_trained(first, task)
    other = load_tokenizer(str(trimmed), near=False)
    numbers = processor.get_vocab()
    among = torch.zeros(model.get_output_embeddings().weight.shape[0], dtype=torch.bool)
    among[[numbers[token] for token in other.get_vocab() if token in numbers]] = True
    heavy.head.among = among
    rows = heavy.encode(processor, columns, max_length(first))
    if task == "text-generation" and "labels" in rows:
        rows["labels"] = _still_read(heavy, processor, other, columns, rows["labels"], max_length(trimmed))
    left = room(first)()
    tokens = TOKENS if left is None else max(1, min(TOKENS, left))
    found = outputs_of(model.to(device), heavy, processor, rows, device=torch.device(device), tokens=tokens)
    # The likeliest tokens have other numbers in the trimmed model.
    return found[:, :2]


def _still_read(heavy: Any, old: Any, new: Any, columns: Columns, labels: list[Any], length: int) -> list[list[int]]:
    """``labels``, IGNORE where the text lies beyond what ``length`` tokens of ``new`` hold."""
    before, after = (heavy.encode(processor, columns, _WHOLE)["labels"] for processor in (old, new))
    read = heavy.encode(new, columns, length)["labels"]
    found = []
    for row, whole, cut, left in zip(labels, before, after, read, strict=True):
        kept = len(row) if _told(left) == _told(cut) else round(_told(whole) * _told(left) / _told(cut))
        places = [at for at, label in enumerate(row) if label != IGNORE][kept:]
        found.append([IGNORE if at in places else label for at, label in enumerate(row)])
    return found


def _told(labels: list[int]) -> int:
    return sum(label != IGNORE for label in labels)
