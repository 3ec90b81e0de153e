"""The notebook's door: ``%model VERB …`` and ``%%model VERB …``."""

from __future__ import annotations

from typing import Any

__all__ = ["register"]


def register(ipython: Any) -> None:
    """What ``%load_ext modelnook`` does: the magic, its completion, the cards, one-sentence errors."""
    from modelnook.magics import completer, magic, problems, show

    magic.install(ipython)
    completer.install(ipython)
    show.install(ipython)
    problems.install(ipython)
