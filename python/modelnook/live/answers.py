"""A bar while a model answers many rows: there after a moment, gone with the last answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from modelnook.live import looked_at
from modelnook.tasks.answered import counting

__all__ = ["counted"]

DELAY_S = 1.5
"""What answers sooner needs no bar."""


@contextmanager
def counted() -> Iterator[None]:
    """Show how many rows are answered meanwhile, where somebody looks: in a notebook's cell, or at a terminal."""
    if not looked_at() or not find_spec("tqdm"):
        yield
        return
    bar = _Bar()
    try:
        with counting(bar):
            yield
    finally:
        bar.close()


class _Bar:
    """tqdm's: a widget in a notebook, a line elsewhere."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._left = 0.0

    def expect(self, total: int) -> None:
        """See :class:`~modelnook.tasks.answered.Listener`."""
        from tqdm.auto import tqdm

        self.close()
        if total > 1:
            self._bar = tqdm(total=total, delay=DELAY_S, leave=False, dynamic_ncols=True, smoothing=0.1, unit="")

    def count(self, answers: float) -> None:
        """See :class:`~modelnook.tasks.answered.Listener`."""
        self._left += answers
        whole = int(self._left + 1e-6)
        self._left -= whole
        if self._bar is not None and whole:
            self._bar.update(whole)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._left = None, 0.0
