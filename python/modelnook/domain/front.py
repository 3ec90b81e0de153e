"""Which of several things nothing else beats in everything that counts."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["front"]


def front(points: Sequence[tuple[str, float, float, float]]) -> tuple[str, ...]:
    """The names on the Pareto front of ``(name, quality, bytes, latency)``: more quality, fewer bytes, less latency.

    One that another equals or beats in all three, and beats in one, isn't on it.

    >>> front([("big", 0.9, 100, 10), ("small", 0.9, 25, 2), ("best", 0.95, 100, 10)])
    ('small', 'best')
    """

    def beaten(mine: tuple[str, float, float, float]) -> bool:
        key = (-mine[1], mine[2], mine[3])
        for other in points:
            theirs = (-other[1], other[2], other[3])
            if theirs != key and all(a <= b for a, b in zip(theirs, key, strict=True)):
                return True
        return False

    return tuple(point[0] for point in points if not beaten(point))
