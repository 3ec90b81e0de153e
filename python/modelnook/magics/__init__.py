"""The notebook's door: ``%model VERB …`` and ``%%model VERB …``."""

from __future__ import annotations

from typing import Any

__all__ = ["register"]


def register(ipython: Any) -> None:
    """What ``%load_ext modelnook`` does: the magic, its completion, the cards."""
    # Light ones only (promise 5): the table of verbs and the parser are imported by the first line or Tab.
    from modelnook.live import formatters
    from modelnook.magics import magic, tab

    magic.install(ipython)
    tab.install(ipython)
    formatters.install(ipython)
