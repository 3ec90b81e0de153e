"""How IPython displays our values: cards, registered by the names of types, so that nothing is imported for it."""

from __future__ import annotations

from typing import Any

from modelnook.cards import MAKERS
from modelnook.live import bundle

__all__ = ["html", "install", "text"]


def install(ipython: Any) -> None:
    """Text and HTML for every value that has a card."""
    formatters = ipython.display_formatter.formatters
    for target in MAKERS:
        module, _, name = target.rpartition(".")
        if module == "builtins":
            continue
        formatters["text/plain"].for_type_by_name(module, name, _pretty)
        formatters["text/html"].for_type_by_name(module, name, html)


def text(value: Any) -> str:
    """A value's card in plain text."""
    return bundle(value)["text/plain"]


def html(value: Any) -> str:
    """A value's card."""
    return bundle(value)["text/html"]


def _pretty(value: Any, printer: Any, cycle: bool) -> None:
    # Inside a list or a dict a card would tear the line apart.
    printer.text(repr(value) if cycle or len(printer.stack) > 1 else text(value))
