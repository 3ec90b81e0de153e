"""Hints are written for the notebook: how the same is typed in a terminal."""

from __future__ import annotations

import re

__all__ = ["typed"]

_VARIABLE = re.compile(r"(modelnook [^\n]*--data )(train|test|valid|rows|some_rows)\b(?!\.)")


def typed(text: str) -> str:
    """The command has another name there, and there are files instead of variables.

    >>> typed("Next: %model evaluate topics --data test")
    'Next: modelnook evaluate topics --data test.csv'
    """
    return _VARIABLE.sub(r"\1\2.csv", text.replace("%model", "modelnook"))
