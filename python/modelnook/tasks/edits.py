"""How many insertions, deletions and replacements turn one sequence into another (Levenshtein 1966)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

__all__ = ["edits"]


def edits(truth: Sequence[Hashable], guess: Sequence[Hashable]) -> int:
    """The least number of them, of words or characters.

    >>> edits("kitten", "sitting"), edits("a fine day".split(), "a day".split())
    (3, 1)
    """
    import numpy as np

    if not truth or not guess:
        return max(len(truth), len(guess))
    numbers = {item: i for i, item in enumerate(dict.fromkeys((*truth, *guess)))}
    asked = np.array([numbers[item] for item in guess])
    places = np.arange(len(asked) + 1)
    row = places
    for number, item in enumerate(truth, 1):
        above = np.minimum(row[:-1] + (asked != numbers[item]), row[1:] + 1)
        # An insertion costs one more than what stands to the left: a running minimum of costs less their place.
        row = np.minimum.accumulate(np.concatenate([[number], above]) - places) + places
    return int(row[-1])
