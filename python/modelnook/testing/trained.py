"""A small model that has learnt :func:`~modelnook.testing.models.tiny_rows`, so that quality can be seen to fall."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelnook.testing.models import WORDS, tiny_model, tiny_rows

__all__ = ["trained_model"]

STEPS = 60


def trained_model(
    folder: Path, labels: tuple[str, ...] = ("ham", "spam"), *, words: Sequence[str] = WORDS, layers: int = 2
) -> Path:
    """Write a classifier that is right on nearly every tiny row. Takes about a second. Gives
    the folder.
    """
    import torch

    from modelnook.runtime.silence import silence
    from modelnook.tasks import TASKS

    tiny_model(folder, labels, words=words, layers=layers)
    task = TASKS.load("text-classification")(labels)
    model, tokenizer = task.load(str(folder))
    rows = task.encode(tokenizer, tiny_rows(256, labels, seed=1), 32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model.train()
        for step in range(STEPS):
            start = 32 * step % 256
            batch = task.collate(tokenizer, {name: values[start : start + 32] for name, values in rows.items()})
            optimizer.zero_grad()
            task.loss(model, batch).backward()
            optimizer.step()
    with silence():
        model.save_pretrained(folder)
    return folder
