"""How many answers a model has given, for whoever waits: batches count, a caller listens.

Whoever computes a batch is far from whoever shows a bar, and nothing in between has a use for the number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

__all__ = ["Listener", "answered", "counting", "expected"]


class Listener(Protocol):
    """Who is told."""

    def expect(self, total: int) -> None:
        """So many answers are to come."""

    def count(self, answers: float) -> None:
        """So many more are there; a part of one where a long input is read in windows."""


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def expected(total: int) -> None:
    """Tell how many answers are to come."""
    if (listener := _listener.get()) is not None:
        listener.expect(total)


def answered(answers: float) -> None:
    """Tell that so many more are there."""
    if (listener := _listener.get()) is not None:
        listener.count(answers)


@contextmanager
def counting(listener: Listener) -> Iterator[None]:
    """Listen to what is answered in this thread meanwhile.

    >>> class Seen(list):
    ...     expect = count = list.append
    >>> seen = Seen()
    >>> with counting(seen):
    ...     expected(3), answered(2), answered(1)
    (None, None, None)
    >>> seen
    [3, 2, 1]
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
