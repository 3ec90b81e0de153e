"""Waiting a rate limit out while a download goes on, and saying so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from modelnook.catalog.hub_errors import patiently
from modelnook.domain.errors import ConflictError
from modelnook.domain.event import Emit, Progress

__all__ = ["Patience"]

T = TypeVar("T")

# The hub's window is five minutes; what asks for more is no rate limit that ends.
_MOST = 320
_TELL_EVERY = 0.5


class Patience:
    """Calls that wait as long as the hub asks; the wait is told as ``Progress("rate_limited")`` and can be stopped."""

    def __init__(self, emit: Emit, stop: Callable[[], bool], ref: str) -> None:
        self.emit, self.stop, self.ref = emit, stop, ref

    def __call__(self, call: Callable[[], T]) -> T:
        return patiently(call, most=_MOST, pause=self._pause)

    def _pause(self, seconds: int) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.stop():
                raise ConflictError("hub.stopped", ref=self.ref)
            self.emit(Progress("rate_limited", step=round(seconds - left), total=seconds))
            time.sleep(min(left, _TELL_EVERY))
