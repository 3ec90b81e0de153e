"""What a line after ``%model`` may become: verbs, options, choices, references, runs, variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from modelnook.magics.scope import Namespace
from modelnook.verbs import VERBS, Arg, Verb
from modelnook.verbs.parse import COMMON
from modelnook.verbs.verb import find
from modelnook.verbs.words import tokens

__all__ = ["candidates"]

_DOOR = "magic"


def candidates(line: str, scope: Namespace) -> tuple[str, list[str]]:
    """``(what is typed so far, what it may become)`` for a line after ``%model``."""
    typed = tokens(line)
    word = typed.pop().text if typed and not line[-1:].isspace() else ""
    before = [token.text for token in typed]
    try:
        words = _words(before, word, scope)
    except Exception:
        # Whatever is wrong is told when the line is run; a Tab says nothing.
        words = []
    lowered = word.lower()
    return word, [w for w in dict.fromkeys(words) if w.lower().startswith(lowered)]


def _words(before: list[str], word: str, scope: Namespace) -> Iterable[str]:
    if not before:
        return [name for name, verb in VERBS.items() if " " not in name and _DOOR in verb.doors]
    verb, used = find(before, VERBS, _DOOR)
    rest = before[used:]
    if (brace := word.rfind("{")) >= 0:
        return [f"{word[: brace + 1]}{name}}}" for name in scope.names()]
    args = verb.at(_DOOR)
    flags = {arg.flag: arg for arg in args}
    name, equals, value = word.partition("=")
    if equals and name in flags:
        return [f"{name}={v}" for v in _values(flags[name], value, rest, scope)]
    if rest and rest[-1] in flags and flags[rest[-1]].kind != "flag":
        return _values(flags[rest[-1]], word, rest, scope)
    if word.startswith("-"):
        typed_bare = {arg.flag for arg in args if arg.positional and arg.kind not in ("data", "inputs")}
        return [f for f in (*flags, *COMMON[_DOOR]) if f not in rest and f not in typed_bare]
    return [*_subs(verb, before, used), *_bare(args, flags, rest, word, scope)]


def _subs(verb: Verb, before: list[str], used: int) -> list[str]:
    if used != 1 or len(before) != 1:
        return []
    return [name.split(" ", 1)[1] for name in VERBS if name.startswith(f"{verb.name} ")]


def _bare(args: tuple[Arg, ...], flags: dict[str, Arg], rest: list[str], word: str, scope: Namespace) -> Iterable[str]:
    """The values of the positional argument that the next bare word fills."""
    filled, skip = 0, False
    for one in rest:
        if skip:
            skip = False
        elif one in flags:
            skip = flags[one].kind != "flag"
        elif not one.startswith("-"):
            filled += 1
    places = [arg for arg in args if arg.positional]
    arg = next((a for n, a in enumerate(places) if n == filled or a.many), None)
    # What is typed after a reference in predict is a text, not a name.
    return _values(arg, word, rest, scope) if arg and arg.kind != "inputs" else ()


def _values(arg: Arg, word: str, rest: list[str], scope: Namespace) -> Iterable[str]:
    if arg.kind in ("data", "inputs"):
        return scope.names()
    if arg.name in ("text", "label", "columns"):
        return _columns(rest, scope)
    if arg.kind in ("ref", "refs", "run", "runs", "target") or arg.name == "source":
        kind = "source" if arg.name == "source" or arg.kind == "target" else arg.kind.rstrip("s")
        return _known(kind, word)
    if arg.kind == "assign":
        from modelnook.settings import SAVED

        return [f"{name}={v}" for name, (allowed, _) in SAVED.items() for v in allowed or ("",)]
    return arg.words() or arg.choices


def _columns(rest: list[str], scope: Namespace) -> list[str]:
    """The columns of the variable after ``--data``, where there is one."""
    if "--data" not in rest[:-1]:
        return []
    held = scope.value(rest[rest.index("--data") + 1])
    if isinstance(held, list) and held:
        held = held[0]
    if isinstance(held, dict):
        return [str(name) for name in held]
    # A Dataset has column_names (a DatasetDict has them by split); a DataFrame has columns.
    names = getattr(held, "column_names", getattr(held, "columns", None))
    return [] if names is None or isinstance(names, dict) else [str(name) for name in names]


def _known(kind: str, prefix: str) -> list[str]:
    complete: Callable[[str, str], list[str]]
    from modelnook.api import complete

    return complete(kind, prefix)
