"""One word into one value, by the kind of its argument."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

from modelnook.domain.errors import UsageError, near
from modelnook.domain.model import ModelRef, is_path
from modelnook.verbs.verb import Arg
from modelnook.verbs.words import Scope, Value

__all__ = ["convert", "reference"]

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def convert(arg: Arg, word: str, scope: Scope) -> Any:
    """The value of ``word``.

    Raises:
        UsageError: of another type, out of bounds, or none of the choices.
    """
    return _KINDS[arg.kind](arg, word, scope)


def _text(arg: Arg, word: str, scope: Scope) -> str:
    if not arg.allows(word):
        raise _not_a_choice(arg, word, arg.words())
    return str(word)


def _not_a_choice(arg: Arg, word: str, allowed: list[str]) -> UsageError:
    close = near(word, allowed)
    known = ", ".join(allowed)
    if close:
        return UsageError("verbs.choice_near", option=arg.flag, value=word, near=close, known=known)
    return UsageError("verbs.choice", option=arg.flag, value=word, known=known)


def _number(arg: Arg, word: str, scope: Scope) -> int | float | str:
    if word in arg.choices:
        return str(word)
    whole = arg.kind == "int"
    try:
        value: int | float = int(word) if whole else float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError("verbs.not_whole" if whole else "verbs.not_number", **_said(arg, word))
    if arg.above is not None and value <= arg.above:
        raise UsageError("verbs.not_above", bound=f"{arg.above:g}", **_said(arg, word))
    if arg.low is not None and value < arg.low:
        raise UsageError("verbs.too_low", bound=f"{arg.low:g}", **_said(arg, word))
    return int(value) if value == int(value) and "e" not in word.lower() and "." not in word else value


def reference(arg: Arg, value: Any) -> Any:
    """The reference that a name, a path, a model or a run with a model stands for; None for anything else.

    A loaded model stands for itself where one may be given.
    """
    if isinstance(value, str | ModelRef):
        return str(value)
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return path if is_path(path) else os.path.join(os.curdir, path)
    if arg.loaded and hasattr(value, "runtime"):
        return value
    named = (getattr(value, name, None) for name in ("ref", "model"))
    return next((ref for ref in named if isinstance(ref, str)), None)


def _said(arg: Arg, word: str) -> dict[str, str]:
    example = arg.example or (arg.choices[0] if arg.choices else "1")
    return {"option": arg.flag, "value": str(word), "example": f"{arg.flag} {example}"}


def _flag(arg: Arg, word: str, scope: Scope) -> bool:
    if word.lower() not in _TRUE + _FALSE:
        raise UsageError("verbs.not_a_flag", option=arg.flag, value=word)
    return word.lower() in _TRUE


def _list(arg: Arg, word: str, scope: Scope) -> str | list[str]:
    allowed = arg.words()
    parts = [part.strip() for part in word.split(",") if part.strip()]
    for part in parts:
        if allowed and part not in allowed:
            raise _not_a_choice(arg, part, allowed)
    # "auto", "none" and their like stand for a way of choosing, not for one member of a list
    return parts[0] if len(parts) == 1 and parts[0] in arg.choices else parts


def _pairs(arg: Arg, word: str, scope: Scope) -> dict[str, str]:
    found = {}
    for part in word.split(","):
        name, equals, value = part.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise UsageError("verbs.not_pairs", option=arg.flag, value=part)
        found[name.strip()] = value.strip()
    return found


def _data(arg: Arg, word: str, scope: Scope) -> Any:
    return word.value if isinstance(word, Value) else scope.data(word)


def _ref(arg: Arg, word: str, scope: Scope) -> Any:
    """A reference; ``{model}`` and ``{run}`` stand for the model loaded or made, or for the handle where it may be."""
    if not isinstance(word, Value) or isinstance(word.value, str):
        return str(word)
    if arg.kind in ("run", "runs"):
        return word.value
    found = reference(arg, word.value)
    if found is None:
        raise UsageError("verbs.not_a_model_here", kind=type(word.value).__name__, example=arg.example.split()[0])
    return found


_KINDS: dict[str, Callable[[Arg, str, Scope], Any]] = {
    "data": _data,
    "flag": _flag,
    "float": _number,
    "inputs": _data,
    "int": _number,
    "list": _list,
    "pairs": _pairs,
    "path": _text,
    "ref": _ref,
    "refs": _ref,
    "run": _ref,
    "runs": _ref,
    "target": _text,
    "text": _text,
}
