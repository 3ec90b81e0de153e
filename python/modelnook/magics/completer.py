"""What a line after ``%model`` may become: verbs, options, choices, references, runs, variables."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from modelnook.domain.model import is_path
from modelnook.magics import offered
from modelnook.magics.scope import Namespace
from modelnook.verbs import VERBS, Arg, Verb
from modelnook.verbs.parse import COMMON
from modelnook.verbs.verb import find
from modelnook.verbs.words import Token, quoted, tokens

__all__ = ["Found", "candidates"]

_DOOR = "magic"
_OUTPUT = "-o"


class Found(NamedTuple):
    """What is typed so far, and what it may become."""

    fragment: str
    words: list[str]


class _Offer(NamedTuple):
    """``kept`` characters of the word stay, the rest may become one of ``words``; with ``files`` else a file's name."""

    kept: int
    words: Iterable[str]
    files: bool = False


def candidates(line: str, scope: Namespace) -> Found:
    """What a line after ``%model`` may become, each word as it has to be typed there."""
    typed = tokens(line)
    goes_on = bool(typed) and bool(typed[-1].open or not line[-1:].isspace())
    last = typed.pop() if goes_on else Token("", len(line))
    word = last.text
    try:
        kept, words, files = _words([token.text for token in typed], word, scope)
    except Exception:
        # Whatever is wrong is told when the line is run; a Tab says nothing.
        kept, words, files = 0, (), False
    raw = line[last.start :]
    # What stays has been typed, with quotes or without.
    fragment = raw[kept if raw == word or not kept else raw.rfind(word[kept - 1]) + 1 :]
    begun = word[kept:].lower()
    quote = fragment[:1] if fragment[:1] in ("'", '"') else ""
    found = [w for w in dict.fromkeys(words) if w.lower().startswith(begun)]
    if not found and (files or is_path(word) or "/" in word):
        found = _files(word[kept:])
    return Found(fragment, [quoted(w, quote) for w in found])


def _files(typed: str) -> list[str]:
    """The files and folders whose path begins as typed; IPython's own matcher escapes in a way that no verb reads."""
    # Braces stand for variables, doubled for themselves.
    typed = typed.replace("{{", "{").replace("}}", "}")
    folder, begun = os.path.split(typed)
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as entries:
            here = sorted((e.name, e.is_dir()) for e in entries if e.name.startswith(begun))
    except OSError:
        return []
    shown = [name + "/" * is_dir for name, is_dir in here if begun or not name.startswith(".")]
    kept = typed[: len(typed) - len(begun)]
    return [(kept + name).replace("{", "{{").replace("}", "}}") for name in shown]


def _words(before: list[str], word: str, scope: Namespace) -> _Offer:
    if not before:
        return _Offer(0, [name for name, verb in VERBS.items() if " " not in name and _DOOR in verb.doors])
    verb, used = find(before, VERBS, _DOOR)
    rest = before[used:]
    if (brace := word.rfind("{")) >= 0:
        return _Offer(0, [f"{word[: brace + 1]}{name}}}" for name in scope.names()])
    line = _Line(verb, rest, scope)
    name, equals, value = word.partition("=")
    if equals and name in line.flags:
        kept, words, files = line.values(line.flags[name], value)
        return _Offer(len(name) + 1 + kept, words, files)
    if rest and rest[-1] in line.flags and line.flags[rest[-1]].kind != "flag":
        return line.values(line.flags[rest[-1]], word)
    if rest and rest[-1] == _OUTPUT:
        return _Offer(0, scope.names())
    if word.startswith("-"):
        typed_bare = {arg.flag for arg in line.args if arg.positional and arg.kind not in ("data", "inputs")}
        return _Offer(0, [f for f in (*line.flags, *COMMON[_DOOR]) if f not in rest and f not in typed_bare])
    kept, words, files = line.next_bare(word)
    return _Offer(kept, [*_subs(verb, before, used), *words], files)


def _subs(verb: Verb, before: list[str], used: int) -> list[str]:
    if used != 1 or len(before) != 1:
        return []
    return [name.split(" ", 1)[1] for name in VERBS if name.startswith(f"{verb.name} ")]


class _Line:
    """The words after a verb: its options with their words, and those that belong to none."""

    def __init__(self, verb: Verb, rest: list[str], scope: Namespace) -> None:
        self.verb, self.scope, self.args = verb, scope, verb.at(_DOOR)
        self.flags = {arg.flag: arg for arg in self.args}
        self.given: dict[str, str] = {}
        self.bare: list[str] = []
        words = iter(rest)
        for word in words:
            name, equals, value = word.partition("=")
            if (word in self.flags and self.flags[word].kind != "flag") or word == _OUTPUT:
                self.given[word] = next(words, "")
            elif equals and name in self.flags:
                self.given[name] = value
            elif not word.startswith("-"):
                self.bare.append(word)

    def next_bare(self, word: str) -> _Offer:
        """The values of the positional argument that the next bare word fills."""
        places = [arg for arg in self.args if arg.positional]
        arg = next((a for n, a in enumerate(places) if n == len(self.bare) or a.many), None)
        # What is typed after a reference in predict is a text, not a name.
        return self.values(arg, word) if arg and arg.kind != "inputs" else _Offer(0, ())

    def values(self, arg: Arg, word: str) -> _Offer:
        """What the word of an option may become."""
        task = self.given.get("--task", "")
        if arg.kind in ("data", "inputs"):
            return _Offer(0, self.scope.names(), files=True)
        if arg.kind == "path":
            return _Offer(0, (), files=True)
        if arg.kind == "pairs":
            return _Offer(*offered.pairs(word, task, self._columns()))
        # explain's label is one of the model's.
        if arg.name == "text" or (arg.name == "label" and self.verb.name != "explain"):
            return _Offer(0, self._columns())
        if arg.kind in ("ref", "refs", "run", "runs", "target") or arg.name == "source":
            kind = "source" if arg.name == "source" or arg.kind == "target" else arg.kind.rstrip("s")
            known = _known(kind, word)
            # Models are here already, and packages are nobody's to write to.
            return _Offer(0, [one for one in known if arg.kind != "target" or one not in ("local", "pip")])
        if arg.kind == "assign":
            from modelnook.settings import SAVED

            return _Offer(0, [f"{name}={v}" for name, (allowed, _) in SAVED.items() for v in allowed or ("",)])
        words = arg.words() or arg.choices or offered.named(self.verb, arg, task)
        if arg.name in ("drop", "slices"):
            words = self._columns()
        return _Offer(0, _listed(word, words) if arg.kind == "list" else words)

    def _columns(self) -> list[str]:
        return offered.columns(offered.data_word(self.args, self.given, self.bare), self.scope)


def _listed(word: str, words: Iterable[str]) -> list[str]:
    """A list with one more member: those before the last comma stay, none is offered twice, nor one with a comma."""
    begun = word[: word.rfind(",") + 1]
    return [begun + one for one in words if one not in begun.split(",") and "," not in one]


def _known(kind: str, prefix: str) -> list[str]:
    complete: Callable[[str, str], list[str]]
    from modelnook.api import complete

    return complete(kind, prefix)
