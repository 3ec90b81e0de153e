"""Which of several things nothing else beats in everything that counts."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["beaten", "front", "pareto"]


def beaten(point: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Whether one of the others is as low or lower in every number, and lower in one.

    >>> beaten((1, 2), [(1, 1)]), beaten((1, 2), [(1, 2), (2, 1)])
    (True, False)
    """
    mine = tuple(point)
    return any(
        tuple(other) != mine and all(a <= b for a, b in zip(other, mine, strict=True)) for other in map(tuple, others)
    )


def pareto(points: Sequence[Sequence[float]]) -> tuple[int, ...]:
    """The positions of the points that no other beats; less is better in every number.

    >>> pareto([(1, 9), (2, 2), (3, 3), (9, 1)])
    (0, 1, 3)
    """
    return tuple(at for at, point in enumerate(points) if not beaten(point, points))


def front(points: Sequence[tuple[str, float, float, float]]) -> tuple[str, ...]:
    """The names on the Pareto front of ``(name, quality, bytes, latency)``: more quality, fewer bytes, less latency.

    One that another equals or beats in all three, and beats in one, isn't on it.

    >>> front([("big", 0.9, 100, 10), ("small", 0.9, 25, 2), ("best", 0.95, 100, 10)])
    ('small', 'best')
    """
    return tuple(points[at][0] for at in pareto([(-quality, size, time) for _, quality, size, time in points]))
