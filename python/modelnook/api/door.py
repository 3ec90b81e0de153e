"""The door of plain Python: a verb's function, with a near miss for an argument that it doesn't have."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from inspect import signature
from typing import Any

from modelnook.domain.errors import unknown

__all__ = ["opened"]


@cache
def opened(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, as ``modelnook.NAME`` gives it.

    Raises (from what it gives):
        UsageError: an argument that it doesn't have.
    """
    known = signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return function

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        for name in kwargs:
            if name not in known:
                raise unknown("argument", name, known)
        return function(*args, **kwargs)

    # Where it is found again, as pickle does.
    called.__module__ = "modelnook"
    return called
