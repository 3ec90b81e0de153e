"""Unpadded rows as one batch of tensors, each padded to its own longest row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["IGNORE", "bins", "pad", "padded"]

IGNORE = -100
"""The label of a token that has none; cross entropy leaves it out."""


def pad(rows: Sequence[Sequence[int]], value: int, *, left: bool = False) -> tuple[torch.Tensor, NDArray[np.bool_]]:
    """``(int64 of shape (rows, longest), where a token stands)``."""
    sizes = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    longest = int(sizes.max())
    mask = np.arange(longest) < sizes[:, None]
    if left:
        mask = mask[:, ::-1]
    filled = np.full((len(rows), longest), value, dtype=np.int64)
    filled[mask] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return torch.from_numpy(filled), mask


def padded(tokenizer: Any, rows: dict[str, list[Any]], labels: int | None = None) -> dict[str, torch.Tensor]:
    """``input_ids``, ``token_type_ids`` where the rows have them, ``attention_mask`` where lengths differ.

    Args:
        labels: what fills ``labels`` that are one a token; None leaves labels out.
    """
    left = tokenizer.padding_side == "left"
    ids, mask = pad(rows["input_ids"], tokenizer.pad_token_id, left=left)
    batch = {"input_ids": ids}
    if not mask.all():
        # Rows of one length need no mask, and attention without one is faster.
        batch["attention_mask"] = torch.from_numpy(np.ascontiguousarray(mask, dtype=np.int64))
    if "token_type_ids" in rows:
        batch["token_type_ids"] = pad(rows["token_type_ids"], 0, left=left)[0]
    if labels is not None and "labels" in rows:
        batch["labels"] = pad(rows["labels"], labels, left=left)[0]
    return batch


def bins(sizes: Sequence[int], most: int) -> list[list[int]]:
    """Numbers of rows that stand in a sequence together: the longest first, each where it fits first.

    Args:
        most: tokens that a sequence holds; a longer row stands alone.

    >>> bins([3, 6, 4, 2], 8)
    [[1, 3], [2, 0]]
    """
    found: list[list[int]] = []
    room: list[int] = []
    for row in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        place = next((i for i, left in enumerate(room) if sizes[row] <= left), None)
        if place is None:
            place = len(found)
            found.append([])
            room.append(most)
        found[place].append(row)
        room[place] -= sizes[row]
    return found
