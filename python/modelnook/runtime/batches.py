"""Which rows go together. Padding is what a batch of unlike lengths costs: sorted by length it all but vanishes."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["auto_tokens", "plan"]

# Rows x padded length of one batch. Above it the activations fall out of a core's L2 cache (MiniLM: 384 x 4 B a token
# and layer), below it the calls' overhead shows; measured with benchmarks/predict.py, flat from 256 to 1024.
auto_tokens = 512
MOST_ROWS = 64


def plan(lengths: Sequence[int], *, batch_size: int | str = "auto", sort: bool = True) -> list[list[int]]:
    """Row numbers in batches; together they hold every row once, and depend on the lengths alone.

    Args:
        lengths: tokens of each row.
        batch_size: rows of a batch, or ``auto``: as many as keep rows x longest within ``auto_tokens``.
        sort: by length, longest first, so that what needs the most memory comes first.

    >>> plan([3, 9, 4, 8], batch_size=2)
    [[1, 3], [2, 0]]
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i]) if sort else list(range(len(lengths)))
    if batch_size != "auto":
        size = int(batch_size)
        return [order[i : i + size] for i in range(0, len(order), size)]
    batches: list[list[int]] = []
    longest = 0
    for row in order:
        longest = max(longest, lengths[row])
        full = batches and ((len(batches[-1]) + 1) * longest > auto_tokens or len(batches[-1]) >= MOST_ROWS)
        if full or not batches:
            batches.append([])
            longest = lengths[row]
        batches[-1].append(row)
    return batches
