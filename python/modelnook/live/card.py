"""A run's card that is drawn anew while the run goes on: for notebooks without the widget."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from modelnook.live import bundle

__all__ = ["LiveCard"]

EVERY_S = 0.5


class LiveCard:
    """One output, updated by its display id."""

    def __init__(self, id: str = "") -> None:
        """``id`` is its output's, which a widget may take over."""
        self._id = id or uuid4().hex
        self._shown = 0.0

    def open(self, run: Any) -> None:
        """Show the first card."""
        from IPython.display import display

        display(bundle(run), raw=True, display_id=self._id)

    def update(self, run: Any) -> None:
        """Draw it anew, twice a second at most."""
        if time.monotonic() - self._shown >= EVERY_S:
            self._shown = time.monotonic()
            self._draw(run)

    def close(self, result: Any) -> None:
        """Leave the result's card, or nothing."""
        self._draw(result)

    def _draw(self, value: Any) -> None:
        from IPython.display import update_display

        update_display(bundle(value), raw=True, display_id=self._id)
