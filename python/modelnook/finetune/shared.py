"""What runs on the same rows have in common: computed once, held for the next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

__all__ = ["Shared"]

MOST = 24
"""Results that are held; of more, those that were used longest ago are forgotten."""


class Shared:
    """Holds results by a key that says what they depend on.

    Args:
        models: whether base models are held as well, so that they are read from the disk once. A single training
            has no use for the second copy of its weights.

    >>> shared = Shared()
    >>> shared.once("a", lambda: 1), shared.once("a", lambda: 2)
    (1, 1)
    """

    def __init__(self, *, models: bool = False) -> None:
        self.models = models
        self._held: OrderedDict[Hashable, Any] = OrderedDict()

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` gave the first time that this key was asked for."""
        if key not in self._held:
            self._held[key] = make()
            while len(self._held) > MOST:
                self._held.popitem(last=False)
        self._held.move_to_end(key)
        return self._held[key]
