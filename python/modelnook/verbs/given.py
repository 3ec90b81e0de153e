"""One value of whoever calls from Python, by the kind of its argument; what isn't one is our error, not Python's."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter
from numbers import Integral, Real
from typing import Any

from modelnook.domain.errors import UsageError
from modelnook.verbs.convert import reference
from modelnook.verbs.verb import Arg, Verb

__all__ = ["given"]

_SHORT = 40
_COLUMNS = ("label", "text")
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def given(verb: Verb, arg: Arg, parameter: Parameter, value: Any) -> Any:
    """``value`` as the verb's function takes it.

    Args:
        parameter: the function's; its annotation may allow more than the kind does.

    Raises:
        UsageError: of another type, or a number out of bounds; what was given, and an example.
    """
    check = _KINDS.get(arg.kind)
    return check(verb, arg, str(parameter.annotation), value) if check else value


def _told(verb: Verb, arg: Arg, value: Any) -> dict[str, str]:
    """What the errors say of a value that its argument doesn't take."""
    return {"verb": verb.name, "name": arg.name, "given": _shown(value), "example": _example(verb, arg)}


def _shown(value: Any) -> str:
    """What was given, in as few words as tell it: a table is its type."""
    kind = type(value).__name__
    try:
        written = repr(value)
    except Exception:
        # A class of the person's own may fail to describe itself; its name is known all the same.
        return kind
    short = len(written) <= _SHORT and "\n" not in written and " at 0x" not in written
    if isinstance(value, Integral) and not short:
        written, short = f"{written[:_SHORT]}…", True
    return f"{written} ({kind})" if short else kind


def _example(verb: Verb, arg: Arg) -> str:
    if arg.positional and (arg.required or arg.default == "auto"):
        return verb.called()
    example = arg.example or next(iter(arg.words()), "")
    if arg.kind == "flag":
        return f"{arg.name}=True"
    if arg.kind == "pairs":
        pairs = (pair.partition("=") for pair in example.split(","))
        return f"{arg.name}={ {role: column for role, _, column in pairs} }".replace("'", '"').replace("{ ", "{")
    return f'{arg.name}="{example.strip(chr(34))}"'


def _finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        # A whole number that no float holds.
        return False


def _text(verb: Verb, arg: Arg, allowed: str, value: Any) -> Any:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) or "Any" in allowed:
        return value
    # Lists by "Sequence": several metrics, where one is usual.
    if "Sequence" in allowed:
        return _list(verb, arg, allowed, value)
    if isinstance(value, bool) and "bool" in allowed:
        return value
    if isinstance(value, bool) and arg.choices == ("on", "off"):
        return arg.choices[not value]
    if isinstance(value, Real) and not isinstance(value, bool) and _finite(value):
        if isinstance(value, Integral) and ("int" in allowed or arg.name in _COLUMNS):
            return str(int(value)) if arg.name in _COLUMNS else int(value)
        if "float" in allowed:
            return float(value)
    raise UsageError("verbs.not_text", **_told(verb, arg, value))


def _list(verb: Verb, arg: Arg, allowed: str, value: Any) -> Any:
    """A text, or a list of them; pandas' own lists of columns too, and columns that are numbers."""
    if isinstance(value, str):
        return value
    cells = value.tolist() if hasattr(value, "tolist") and not hasattr(value, "columns") else value
    if not isinstance(cells, Iterable) or isinstance(cells, (bytes, Mapping)) or hasattr(cells, "columns"):
        raise UsageError("verbs.not_names", **_told(verb, arg, value))
    words = [str(cell) if isinstance(cell, Integral) and not isinstance(cell, bool) else cell for cell in cells]
    if not all(isinstance(word, str) for word in words):
        raise UsageError("verbs.not_names", **_told(verb, arg, value))
    return words


def _pairs(verb: Verb, arg: Arg, allowed: str, value: Any) -> Any:
    if isinstance(value, str):
        halves = [part.partition("=") for part in value.split(",") if part.strip()]
        if not all(equals and role.strip() and column.strip() for role, equals, column in halves):
            raise UsageError("verbs.not_columns", **_told(verb, arg, value))
        return {role.strip(): column.strip() for role, _, column in halves}
    if not isinstance(value, Mapping):
        raise UsageError("verbs.not_columns", **_told(verb, arg, value))
    named = {role: str(c) if isinstance(c, Integral) and not isinstance(c, bool) else c for role, c in value.items()}
    if not all(isinstance(word, str) for pair in named.items() for word in pair):
        raise UsageError("verbs.not_columns", **_told(verb, arg, value))
    return named


def _flag(verb: Verb, arg: Arg, allowed: str, value: Any) -> bool:
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    # numpy's own is called so too, and is no subclass.
    if type(value).__name__ in ("bool", "bool_") or (isinstance(value, Integral) and value in (0, 1)):
        return bool(value)
    raise UsageError("verbs.not_a_switch", **_told(verb, arg, value))


def _number(verb: Verb, arg: Arg, allowed: str, value: Any) -> int | float | str:
    """``3``, ``"3"``, ``numpy.int64(3)``, or an allowed word."""
    whole = arg.kind == "int"
    if isinstance(value, str) and value in arg.choices:
        return value
    found = math.nan
    if isinstance(value, (Real, str)) and not isinstance(value, bool):
        try:
            found = int(value) if isinstance(value, Integral) else float(value)
        except ValueError:
            pass
    example = arg.example or (arg.choices[0] if arg.choices else "1")
    said = {"option": arg.name, "example": f"{arg.name}={example}"}
    if not _finite(found) or (whole and found != int(found)):
        written = value if isinstance(value, str) and len(value) <= _SHORT else _shown(value)
        raise UsageError("verbs.not_whole" if whole else "verbs.not_number", value=written, **said)
    if arg.above is not None and found <= arg.above:
        raise UsageError("verbs.not_above", bound=f"{arg.above:g}", value=value, **said)
    if arg.low is not None and found < arg.low:
        raise UsageError("verbs.too_low", bound=f"{arg.low:g}", value=value, **said)
    return int(found) if whole or (isinstance(value, str) and found == int(found)) else found


def _run(verb: Verb, arg: Arg, allowed: str, value: Any) -> Any:
    if isinstance(value, str) or (isinstance(getattr(value, "id", None), str) and hasattr(value, "wait")):
        return value
    # A run of a list, as ``runs()`` gives it, is a record.
    if isinstance(getattr(value, "id", None), str) and hasattr(value, "kind"):
        return value.id
    raise UsageError("api.not_a_run", kind=type(value).__name__)


def _ref(verb: Verb, arg: Arg, allowed: str, value: Any) -> Any:
    found = reference(arg, value)
    if found is None:
        example = verb.called()
        if not (arg.required or arg.needed or arg.many or arg.default == "auto"):
            example = f'modelnook.{verb.name}({"" if arg.positional else f"{arg.name}="}"{arg.example}")'
        kind = type(value).__name__
        raise UsageError("verbs.not_a_model", verb=verb.name, name=arg.name, kind=kind, example=example)
    return found


_KINDS: dict[str, Callable[[Verb, Arg, str, Any], Any]] = {
    "flag": _flag,
    "float": _number,
    "int": _number,
    "list": _list,
    "pairs": _pairs,
    "path": _text,
    "ref": _ref,
    "refs": _ref,
    "run": _run,
    "target": _text,
    "text": _text,
}
