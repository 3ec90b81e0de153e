"""The door of plain Python: a verb's function, its arguments read as a line's words are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial, wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

from modelnook.domain.errors import UsageError, unknown

if TYPE_CHECKING:
    from modelnook.verbs.verb import Verb

__all__ = ["opened"]

_TABLES = ("frame", "series", "dataset", "parts", "arrow", "columns", "rows")


@cache
def opened(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, as ``modelnook.NAME`` gives it.

    Raises (from what it gives):
        UsageError: an argument that it doesn't have, too many of them, one that is missing, or a value of another kind
            than it takes.
    """
    known = signature(function).parameters
    free = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if free and not args:
            return function(**kwargs)
        for name in kwargs:
            if name not in known:
                raise unknown("argument", name, known)
        verb = _verb(function.__name__)
        if verb is None:
            return function(*args, **kwargs)
        args, kwargs = _read(verb, known, args, kwargs)
        return _shown(verb, partial(function, *args, **kwargs), waits=not kwargs.get("background"))

    # Where it is found again, as pickle does.
    called.__module__ = "modelnook"
    return called


def _verb(name: str) -> Verb | None:
    """The verb of a function of the interface."""
    from modelnook.verbs.table import VERBS

    return next((verb for verb in VERBS.values() if verb.function == f"modelnook.api:{name}"), None)


def _shown(verb: Verb, call: Callable[..., Any], *, waits: bool) -> Any:
    """Call it; who looks sees how far it is. The value is the caller's to show, so that nothing of it stays."""
    from modelnook.live import carried, looked_at, shell

    if (ipython := shell()) is not None:
        _cards(ipython)
    if not looked_at():
        return call()
    return carried(call, verb.finish, waits=waits and verb.runs == "job", keep=False)[0]


@cache
def _cards(ipython: Any) -> None:
    """Values are displayed as cards, without ``%load_ext`` too."""
    from modelnook.live.formatters import install

    install(ipython)


def _read(
    verb: Verb, known: Mapping[str, Parameter], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call: handles as references, a table behind the models as ``data``, None as left out."""
    from modelnook.verbs.given import given

    name = verb.function.rpartition(":")[2]
    many = next((arg for arg in verb.args if arg.kind == "refs"), None)
    if many is not None and many.name in kwargs:
        if args:
            raise UsageError("verbs.given_twice", verb=name, word=many.name, example=verb.called())
        args = (kwargs.pop(many.name),)
    places = [n for n, p in known.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    one_more = args and (many is not None or len(args) == len(places) + 1)
    if one_more and "data" in known and "data" not in {*places, *kwargs} and _is_table(args[-1]):
        args, kwargs = args[:-1], {**kwargs, "data": args[-1]}
    if many is not None:
        listed = args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args
        args = tuple(given(verb, many, known[many.name], ref) for ref in listed)
    elif len(args) > len(places):
        told: dict[str, Any] = {"verb": name, "most": len(places), "example": verb.called()}
        raise UsageError("verbs.too_many_given" if places else "verbs.none_given", **told)
    else:
        args, kwargs = (), {**dict(zip(places, args, strict=False)), **_once(name, verb, places, args, kwargs)}
    # None is what a caller passes on that was given nothing itself.
    kwargs = {n: value for n, value in kwargs.items() if value is not None}
    for needed, parameter in known.items():
        optional = parameter.default is not parameter.empty or parameter.kind is parameter.VAR_POSITIONAL
        if not optional and needed not in kwargs:
            raise UsageError("verbs.missing", verb=name, word=needed, example=verb.called())
    return args, {n: _value(verb, known[n], value, kwargs) for n, value in kwargs.items()}


def _once(name: str, verb: Verb, places: list[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    for twice in set(places[: len(args)]) & set(kwargs):
        raise UsageError("verbs.given_twice", verb=name, word=twice, example=verb.called())
    return kwargs


def _value(verb: Verb, parameter: Parameter, value: Any, others: Mapping[str, Any]) -> Any:
    from modelnook.verbs.given import given

    arg = verb.arg(parameter.name)
    if arg is None or value is None:
        return value
    alone = arg.kind == "ref" and arg.default == "auto" and others.get("data") is None
    return value if alone and _is_table(value, files=False) else given(verb, arg, parameter, value)


def _is_table(value: Any, *, files: bool = True) -> bool:
    """Whether a value can only be meant as rows."""
    from modelnook.data.files import looks_like_file
    from modelnook.data.read import kind_of

    if isinstance(value, str):
        return files and looks_like_file(value)
    kind = kind_of(value)
    if kind == "records":
        return not isinstance(value, tuple) and all(isinstance(row, Mapping) for row in value)
    return kind in _TABLES
