"""Samples of rows drawn again and again: how far a metric may be off by which rows there happened to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["resample"]


def resample(sums: NDArray[np.float64], resamples: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Sums over ``resamples`` bootstrap samples of the rows; shape (resamples, k).

    A sample is a multinomial draw of how often each row is in it. Rows that add the same count as one cell, so that a
    hundred thousand rows of rights and wrongs are two.
    """
    import numpy as np

    cells, counts = np.unique(sums, axis=0, return_counts=True)
    rows = len(sums)
    found = np.empty((resamples, sums.shape[1]))
    # Draws are made in parts: rows x resamples of them at once would not fit memory.
    part = max(1, min(resamples, 8_000_000 // max(1, len(cells))))
    for start in range(0, resamples, part):
        size = min(part, resamples - start)
        found[start : start + size] = random.multinomial(rows, counts / rows, size=size) @ cells
    return found
