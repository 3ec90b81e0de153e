"""What a person who prints a value reads: its card, as a terminal shows it."""

from __future__ import annotations

from importlib import import_module

__all__ = ["Shown"]

CARDS = "modelnook.cards"
"""Floors above this one; asked for when something is printed."""


class Shown:
    """A value whose ``str`` is its card's text, its ``repr`` the title of that where it has no other one.

    Values with a card of their own derive from it.
    """

    __slots__ = ()

    def __str__(self) -> str:
        said: str = import_module(CARDS).printed(self)
        return said

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self).splitlines()[0]!r}>"
