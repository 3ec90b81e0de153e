"""A call's arguments against the function's own signature: names with their near miss, and the types of JSON."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from modelnook.domain.errors import UsageError, unknown

__all__ = ["checked"]

# The word of an annotation -> what JSON sends for it. A bool is an int to Python and not to a person.
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}


def checked(function: Callable[..., Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that were given; null is the same as leaving one out.

    Raises:
        UsageError: one is unknown, missing, or of another type than the function says.
    """
    known = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return dict(params)
    given = {name: value for name, value in params.items() if value is not None}
    for name, value in given.items():
        if name not in known:
            raise unknown("option", name, known)
        if not _fits(known[name], value):
            raise UsageError("server.bad_argument", name=name, value=value)
    for name, parameter in known.items():
        if (
            parameter.kind is not parameter.VAR_POSITIONAL
            and parameter.default is parameter.empty
            and name not in given
        ):
            raise UsageError("server.missing_argument", name=name)
    return given


def _fits(parameter: inspect.Parameter, value: Any) -> bool:
    if parameter.kind is parameter.VAR_POSITIONAL:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if isinstance(value, list) and "list[str]" in str(parameter.annotation):
        return all(isinstance(item, str) for item in value)
    words = {word.strip().partition("[")[0] for word in str(parameter.annotation).split("|")}
    if "Any" in words:
        return True
    allowed = tuple(t for word in words for t in _TYPES.get(word, ()))
    return isinstance(value, allowed) and not (isinstance(value, bool) and bool not in allowed)
