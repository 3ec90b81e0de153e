"""Hints name arguments as Python has them: how the same is typed in a line.

``src/views/parts/typed.ts`` says the same for the sidebar.
"""

from __future__ import annotations

import re

__all__ = ["as_options"]

# Where the option stands beside it, in brackets, it says both.
_NAMED = re.compile(
    r"(?<![\w-])(backend|budget|device|drop|method|recover|runtime|split|task|to)=([\"'])([^\"'\s]+)\2(?! ?[(（]--)"
)
_FLAG = re.compile(r"(?<![\w-])(again|overwrite)=True(?! ?[(（]--)")
_PAIRS = re.compile(r"(?<![\w-])columns=\{([^}]*)\}")
_KEYWORD = re.compile(r"(?<![\w-])(text|label|columns|task|data|tokens|max_drop|unlabelled)=(…|-?[\d.]*\d)")


def as_options(text: str) -> str:
    """Text with arguments of Python as options.

    >>> as_options('Name it with label=…, or use split="random".')
    'Name it with --label …, or use --split random.'
    >>> as_options('Name it with columns={"question": …, "context": …}, or say again=True.')
    'Name it with --columns question=…,context=…, or say --again.'
    """
    text = _FLAG.sub(r"--\1", _NAMED.sub(r"--\1 \3", text))
    text = _KEYWORD.sub(lambda found: f"--{found[1].replace('_', '-')} {found[2]}", text)
    # Last: what stands in it looks like a keyword then.
    return _PAIRS.sub(lambda found: "--columns " + _pairs(found[1]), text)


def _pairs(inside: str) -> str:
    return re.sub(r'"(\w+)": ?', r"\1=", inside).replace(", ", ",")
