"""Two ways into IPython's completer; what a line may become is asked of :mod:`modelnook.magics.completer` on a Tab."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelnook.magics.completer import Found

__all__ = ["install"]

_LINE = re.compile(r"\s*(?:[\w, ]+=\s*)?%model(?:\s|$)")
_CELL = re.compile(r"\s*%%model(?:\s|$)")


class _Nothing:
    """No completion at all: IPython asks only one that has some whether Python's names are to be left out."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        return iter(())


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
        fragment, words = _candidates(ipython, line)
        if not typed.endswith(fragment):
            # A body's line of options, typed without the dashes.
            fragment, words = fragment.lstrip("-"), [word.lstrip("-") for word in words]
        found = [SimpleCompletion(text=word, type="magic") for word in words]
        return {
            "completions": found or _Nothing(),
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
        fragment, words = _candidates(ipython, line)
        # This IPython replaces only what follows the last delimiter of its own, such as the colon of a reference.
        cut = len(fragment) - len(event.symbol)
        return [word[cut:] for word in words if word[:cut] == fragment[:cut]]

    for key in ("%model", "%%model"):
        ipython.set_hook("complete_command", complete, str_key=key)
    ipython.set_hook("complete_command", complete, re_key=_LINE.pattern)


def _candidates(ipython: Any, line: str) -> Found:
    from modelnook.magics.completer import candidates
    from modelnook.magics.scope import Namespace

    return candidates(line, Namespace(ipython.user_ns, getattr(ipython, "user_ns_hidden", ())))


def _command(cell: str, row: int, line: str) -> str | None:
    """What stands after ``%model`` up to the cursor; a body's line of options after the cell's own; None elsewhere."""
    found = _LINE.match(line) or (_CELL.match(line) if row == 0 else None)
    if found:
        return line[found.end() :]
    first = cell.split("\n", 1)[0]
    head = _CELL.match(first)
    if head is None or row == 0:
        return None
    from modelnook.verbs import VERBS

    words = first[head.end() :].split()
    verb = VERBS.get(words[0]) if words else None
    if verb is None or verb.body != "options":
        return None
    return f"{first[head.end() :].strip()} --{line.lstrip().lstrip('-')}"
