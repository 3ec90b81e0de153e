"""Hints name arguments as Python has them: how the same is typed in a line."""

from __future__ import annotations

import re

__all__ = ["as_options"]

_KEYWORD = re.compile(r"(?<![\w-])(text|label|columns|task|data|tokens|max_drop)=…")
# Where the option stands beside it, in brackets, it says both.
_NAMED = re.compile(
    r"(?<![\w-])(backend|budget|drop|method|recover|split|task|to)=(?P<mark>[\"'])([^\"'\s]+)(?P=mark)(?! ?[(（]--)"
)


def as_options(text: str) -> str:
    """Text with arguments of Python as options.

    >>> as_options('Name it with label=…, or use split="random".')
    'Name it with --label …, or use --split random.'
    """
    text = _NAMED.sub(r"--\1 \3", text)
    return _KEYWORD.sub(lambda found: f"--{found[1].replace('_', '-')} …", text)
