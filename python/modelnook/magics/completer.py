"""Tab: verbs, options, choices, references, runs, variables. One reading of the line, two ways into IPython."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from modelnook.magics.scope import Namespace
from modelnook.verbs import VERBS, Arg, Verb
from modelnook.verbs.parse import COMMON
from modelnook.verbs.verb import find
from modelnook.verbs.words import tokens

__all__ = ["candidates", "install"]

_LINE = re.compile(r"\s*(?:[\w, ]+=\s*)?%model(?:\s|$)")
_CELL = re.compile(r"\s*%%model(?:\s|$)")
_DOOR = "magic"


def install(ipython: Any) -> None:
    """Hook into the completer: a matcher that sees the cell (IPython >= 8.6), a command completer before that."""
    try:
        from IPython.core.completer import SimpleCompletion, context_matcher
    except ImportError:
        _install_command(ipython)
        return

    @context_matcher(identifier="modelnook")  # type: ignore[untyped-decorator]
    def modelnook_matcher(context: Any) -> dict[str, Any]:
        typed = context.text_until_cursor
        line = _command(context.full_text, context.cursor_line, typed)
        if line is None:
            return {"completions": [], "suppress": False}
        fragment, words = candidates(line, _namespace(ipython))
        if not typed.endswith(fragment):
            # A body's line of options, typed without the dashes.
            fragment, words = fragment.lstrip("-"), [word.lstrip("-") for word in words]
        return {
            "completions": [SimpleCompletion(text=word, type="magic") for word in words],
            "matched_fragment": fragment,
            "suppress": True,
        }

    held = ipython.Completer.custom_matchers
    held[:] = [m for m in held if getattr(m, "matcher_identifier", "") != "modelnook"]
    held.append(modelnook_matcher)


def _install_command(ipython: Any) -> None:
    def complete(_: Any, event: Any) -> list[str]:
        line = _command(event.text_until_cursor, 0, event.text_until_cursor)
        if line is None:
            return []
        fragment, words = candidates(line, _namespace(ipython))
        # This IPython replaces only what follows the last delimiter of its own, such as the colon of a reference.
        cut = len(fragment) - len(event.symbol)
        return [word[cut:] for word in words if word[:cut] == fragment[:cut]]

    for key in ("%model", "%%model"):
        ipython.set_hook("complete_command", complete, str_key=key)
    ipython.set_hook("complete_command", complete, re_key=_LINE.pattern)


def _namespace(ipython: Any) -> Namespace:
    return Namespace(ipython.user_ns, getattr(ipython, "user_ns_hidden", ()))


def _command(cell: str, row: int, line: str) -> str | None:
    """What stands after ``%model`` up to the cursor; a body's line of options after the cell's own; None elsewhere."""
    found = _LINE.match(line) or (_CELL.match(line) if row == 0 else None)
    if found:
        return line[found.end() :]
    first = cell.split("\n", 1)[0]
    head = _CELL.match(first)
    if head is None or row == 0:
        return None
    words = first[head.end() :].split()
    verb = VERBS.get(words[0]) if words else None
    if verb is None or verb.body != "options":
        return None
    option = line.lstrip().lstrip("-")
    return f"{verb.name} --{option}" if option else f"{verb.name} --"


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
    if arg.kind in ("ref", "refs", "run", "runs") or arg.name == "source":
        kind = "source" if arg.name == "source" else arg.kind.rstrip("s")
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
