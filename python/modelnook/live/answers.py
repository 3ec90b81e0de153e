"""A bar while a model answers many rows: there after a moment, gone with the last answer."""

from __future__ import annotations

import time
import warnings
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
    """tqdm's: a widget in a notebook, a line elsewhere. It is made where it is due: its widgets are sent when it is."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._total, self._done, self._began = 0, 0.0, 0.0

    def expect(self, total: int) -> None:
        """See :class:`~modelnook.tasks.answered.Listener`."""
        self.close()
        self._total, self._done, self._began = total, 0.0, time.monotonic()

    def count(self, answers: float) -> None:
        """See :class:`~modelnook.tasks.answered.Listener`."""
        self._done += answers
        done = int(self._done + 1e-6)
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
        elif done < self._total and time.monotonic() - self._began >= DELAY_S:
            self._bar = _made(self._total)
            self._bar.start_t = self._bar.start_t - (time.monotonic() - self._began)
            self._bar.update(done)

    def close(self) -> None:
        """Take the bar away."""
        if (bar := self._bar) is not None:
            # Closed before its end, as by an interrupt or where fewer answers did, it would stay, and be red.
            bar.total = bar.n
            bar.close()
            box = getattr(bar, "container", None)
            for widget in (*getattr(box, "children", ()), box):
                if widget is not None:
                    widget.close()
        self._bar = None


def _made(total: int) -> Any:
    with warnings.catch_warnings():
        # Without ipywidgets it says so, and draws a line.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

        return tqdm(total=total, leave=False, dynamic_ncols=True, smoothing=0.1, unit="")
