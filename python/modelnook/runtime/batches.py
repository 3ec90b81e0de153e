"""Which rows go together. Padding is what a batch of unlike lengths costs: sorted by length it all but vanishes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from modelnook.catalog.folder import tensors_of
from modelnook.measure.effort import Shape, read_at_once, shape_of
from modelnook.measure.memory import free_here
from modelnook.runtime import folder

__all__ = ["auto_tokens", "plan", "room"]

# Rows x padded length of one batch. Above it the activations fall out of a core's L2 cache (MiniLM: 384 x 4 B a token
# and layer), below it the calls' overhead shows; measured with benchmarks/predict.py, flat from 256 to 1024.
auto_tokens = 512
MOST_ROWS = 64


def plan(
    lengths: Sequence[int],
    *,
    batch_size: int | str = "auto",
    sort: bool = True,
    tokens: Callable[[], int | None] = lambda: None,
) -> list[list[int]]:
    """Row numbers in batches; together they hold every row once, and depend on the lengths alone.

    Args:
        lengths: tokens of each row.
        batch_size: rows of a batch, or ``auto``: as many as keep rows x longest within ``auto_tokens``.
        sort: by length, longest first, so that what needs the most memory comes first.
        tokens: tells the rows x longest that memory holds, None for any number; a row that is longer comes alone. It
            isn't asked where each row comes alone in any case: to ask takes half as long as to answer one short text.

    >>> plan([3, 9, 4, 8], batch_size=2)
    [[1, 3], [2, 0]]
    >>> plan([3, 9, 4, 8], batch_size=2, tokens=lambda: 10)
    [[1], [3], [2, 0]]
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i]) if sort else list(range(len(lengths)))
    most = MOST_ROWS if batch_size == "auto" else int(batch_size)
    bound = auto_tokens if batch_size == "auto" else None
    left = tokens() if min(most, len(order)) > 1 else None
    held = min((n for n in (bound, left) if n is not None), default=None)
    if held is None:
        return [order[i : i + most] for i in range(0, len(order), most)]
    batches: list[list[int]] = []
    longest = 0
    for row in order:
        longest = max(longest, lengths[row])
        full = batches and ((len(batches[-1]) + 1) * longest > held or len(batches[-1]) >= most)
        if full or not batches:
            batches.append([])
            longest = lengths[row]
        batches[-1].append(row)
    return batches


def room(path: Path, beside: int = 1) -> Callable[[], int | None]:
    """Tells how many tokens go through a folder's model at once, as many as the machine's free memory holds; None where
    nothing says that.

    For a CPU: there no error says that memory ran out, the system kills the process.

    Args:
        beside: batches that may be computed at a time.
    """

    @cache
    def shape() -> Shape:
        return shape_of(tensors_of(path), folder.config(path))

    def tokens() -> int | None:
        left = free_here()
        return None if left is None else read_at_once(shape(), left) // beside

    return tokens
