"""Words into a call: the same reading for the magic and the terminal, with a near miss for whatever isn't known."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelnook.data.files import looks_like_file
from modelnook.domain.errors import UsageError, unknown
from modelnook.verbs.convert import convert
from modelnook.verbs.table import VERBS
from modelnook.verbs.verb import Arg, Verb, find
from modelnook.verbs.words import Paths, Quoted, Scope, Value, body_words

__all__ = ["COMMON", "Call", "command", "parse"]

# door -> the options that every verb has there, and the names that they have in a Call
COMMON: dict[str, dict[str, str]] = {
    "magic": {"-o": "output", "-h": "help", "--help": "help", "--debug": "debug"},
    "terminal": {"-h": "help", "--help": "help", "--debug": "debug", "--json": "json"},
}


_PARTS = 8
"""So many words may be the parts of one path."""


@dataclass(slots=True)
class Call:
    """A verb with its arguments, ready to be called; ``output`` is the variable that takes the result."""

    verb: Verb
    kwargs: dict[str, Any] = field(default_factory=dict)
    output: str = ""
    help: bool = False
    debug: bool = False
    json: bool = False

    def __call__(self, **more: Any) -> Any:
        """Call the plain function; ``more`` are arguments that the door adds."""
        kwargs = {**self.kwargs, **more}
        spread = [a.name for a in self.verb.args if a.many]
        args = [value for name in spread for value in kwargs.pop(name, ())]
        for arg in self.verb.args:
            if arg.kind == "assign":
                kwargs.update(kwargs.pop(arg.name, {}))
        return self.verb.load()(*args, **kwargs)

    @property
    def waits(self) -> bool:
        """Whether a run is started that the caller is to wait for."""
        return self.verb.runs == "job" and not self.kwargs.get("background")


def command(verb: Verb | None, door: str) -> str:
    """How a verb is typed at a door, for hints: ``%model finetune``."""
    return " ".join(filter(None, ("%model" if door == "magic" else "modelnook", verb.name if verb else "")))


def parse(
    words: Sequence[str],
    *,
    door: str = "magic",
    scope: Scope | None = None,
    body: str | None = None,
    piped: Callable[[], str] | None = None,
    verbs: Mapping[str, Verb] = VERBS,
) -> Call:
    """Read a verb and what follows it.

    Args:
        words: the line as :func:`modelnook.verbs.split` gives it, the verb first.
        scope: finds the data that a word names; paths only where there is none.
        body: what stands below the line in a ``%%model`` cell.
        piped: reads what is piped into a command, asked only where a verb has no other inputs.

    Raises:
        UsageError: a word that isn't understood; the message quotes it, the hint says what to write.
    """
    verb, used = find(words, verbs, door)
    reading = _Reading(verb, door, scope or Paths())
    reading.take(words[used:])
    call = reading.call
    if call.help:
        return call
    if body is not None and body.strip():
        reading.take_body(body)
    reading.give_words()
    reading.take_piped(piped)
    reading.miss_nothing()
    return call


class _Reading:
    """One pass over the words of a call."""

    def __init__(self, verb: Verb, door: str, scope: Scope) -> None:
        self.verb, self.door, self.scope = verb, door, scope
        self.call = Call(verb)
        self.args = verb.at(door)
        self.flags = {arg.flag: arg for arg in self.args}
        self.bare: list[str] = []

    def take(self, typed: Sequence[str]) -> None:
        """Sort words into options and bare words; ``--`` ends the options."""
        words = [self._expanded(word) for word in typed]
        self._check_whole(words)
        while words:
            word = words.pop(0)
            if word == "--":
                self.bare += words
                return
            if word in COMMON[self.door]:
                self._common(word, words)
            elif word.startswith("-") and not _number(word) and word != "-":
                self._option(word, words)
            else:
                self.bare.append(word)

    def _check_whole(self, words: Sequence[str]) -> None:
        """Say so where several words are together the path of a file, which then lacks its quotes."""
        if not any(arg.kind in ("data", "inputs", "path") for arg in self.args):
            return
        for start, word in enumerate(words):
            for end in range(start + 2, min(len(words), start + _PARTS) + 1):
                part = words[start:end]
                if any(isinstance(w, Value | Quoted) or w.startswith("-") for w in part) or " " in word:
                    break
                path = " ".join(part)
                if looks_like_file(part[-1]) and os.path.isfile(os.path.expanduser(path)):
                    raise UsageError("verbs.unquoted", path=path)

    def _expanded(self, word: str) -> str:
        found = self.scope.expand(word)
        return Quoted(found) if isinstance(word, Quoted) and not isinstance(found, Value) else found

    def _common(self, word: str, words: list[str]) -> None:
        name = COMMON[self.door][word]
        if name != "output":
            setattr(self.call, name, True)
            return
        if not words or not words[0].isidentifier():
            raise UsageError("verbs.output_name", name=words[0] if words else "")
        self.call.output = str(words.pop(0))

    def _option(self, word: str, words: list[str]) -> None:
        name, equals, value = word.partition("=")
        arg = self.flags.get(name.replace("_", "-"))
        if arg is None:
            raise unknown("option", name, [*self.flags, *(c for c in COMMON[self.door] if c.startswith("--"))])
        if arg.kind == "flag":
            self._set(arg, value if equals else "true")
        elif equals:
            self._set(arg, value)
        elif not words or (words[0].startswith("--") and not _number(words[0])):
            raise UsageError("verbs.no_value", option=arg.flag, example=arg.example or arg.name.upper())
        else:
            self._set(arg, words.pop(0))

    def _set(self, arg: Arg, word: str) -> None:
        self.call.kwargs[arg.name] = convert(arg, word, self.scope)

    def take_body(self, body: str) -> None:
        """A cell's body: one input a line, or one option a line."""
        lines = body.splitlines()
        if self.verb.body == "inputs":
            arg = next(a for a in self.args if a.kind == "inputs")
            self.call.kwargs[arg.name] = [line.strip() for line in lines if line.strip()]
        elif self.verb.body == "prompt":
            self.call.kwargs["prompt"] = body.strip("\n")
        elif self.verb.body == "options":
            self.take(body_words(lines))
        elif self.verb.body == "knobs":
            self.call.kwargs["space"] = [line.strip() for line in lines if line.strip() and line.strip()[0] != "#"]
        else:
            raise UsageError("verbs.no_body", verb=self.verb.name)

    def take_piped(self, piped: Callable[[], str] | None) -> None:
        """``echo text | modelnook predict spam``: one input a line, or one prompt, where no others were given."""
        wanted = (a for a in self.args if a.kind == "inputs" or a.name == self.verb.body)
        arg = next((a for a in wanted if a.name not in self.call.kwargs), None)
        text = piped() if piped and arg else ""
        if text.strip():
            self.take_body(text)

    def give_words(self) -> None:
        """Give the bare words to the positional arguments."""
        bare = self.bare
        for arg in (a for a in self.args if a.positional):
            if not bare:
                break
            if arg.name in self.call.kwargs:
                continue
            if arg.many:
                self.call.kwargs[arg.name] = [convert(arg, word, self.scope) for word in bare]
                bare = []
            elif arg.kind == "assign":
                self.call.kwargs[arg.name] = dict(_assigned(word) for word in bare)
                bare = []
            elif arg.kind == "inputs":
                self.call.kwargs[arg.name] = self._texts(bare)
                bare = []
            elif arg.rest and len(bare) > 1:
                self.call.kwargs[arg.name] = convert(arg, " ".join(bare), self.scope)
                bare = []
            else:
                self._set(arg, bare[0])
                bare = bare[1:]
        if bare:
            raise self._left_over(bare[0])

    def _texts(self, bare: list[str]) -> Any:
        """The bare words after a reference; ``{rows}`` alone is what it stands for.

        In a terminal every word is an input, as for any command: the shell has taken the quotes. In a magic line bare
        words are one text (``predict spam it's good``), until one of them is quoted, or they are a list of Python.

        Raises:
            UsageError: a word that can only be meant as a file: its name is no text to judge.
        """
        only = bare[0]
        if len(bare) == 1 and isinstance(only, Value):
            return only.value
        if len(bare) == 1 and not isinstance(only, Quoted) and looks_like_file(only):
            ref = next((str(v) for v in self.call.kwargs.values() if isinstance(v, str)), "REF")
            typed = f"{command(self.verb, self.door)} {ref}"
            raise UsageError("verbs.file_as_text", word=only, command=typed)
        apart = self.door == "terminal" or any(isinstance(word, Quoted) for word in bare)
        return [str(word) for word in bare] if apart else _listed(" ".join(bare))

    def miss_nothing(self) -> None:
        """Say what is required and wasn't given."""
        for arg in self.args:
            if (arg.required or arg.needed) and arg.name not in self.call.kwargs:
                raise self._missing(arg)

    def _left_over(self, word: str) -> UsageError:
        usage = f"{command(self.verb, self.door)} --help"
        known = {a.flag.lstrip("-"): a.flag for a in self.args}
        if word in known:
            return UsageError("verbs.missing_dashes", word=word, option=known[word])
        return UsageError("verbs.left_over", word=word, verb=self.verb.name, help=usage)

    def _missing(self, arg: Arg) -> UsageError:
        if arg.kind == "inputs":
            typed, rows = command(self.verb, self.door), self.verb.example_at(self.door)
            return UsageError("verbs.missing_inputs", verb=self.verb.name, option=arg.flag, command=typed, rows=rows)
        word = arg.name.upper() if arg.positional and arg.kind not in ("data", "inputs") else arg.flag
        return UsageError("verbs.missing", verb=self.verb.name, word=word, example=self.verb.example_at(self.door))


def _assigned(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise UsageError("verbs.not_assigned", word=word)
    return name.replace("-", "_"), value


def _listed(text: str) -> list[str]:
    """The texts that a list of Python's holds; anything else is one text.

    >>> _listed("['I love it', 'bad']"), _listed("[sic] it's bad")
    (['I love it', 'bad'], ["[sic] it's bad"])
    """
    try:
        found = ast.literal_eval(text) if text.startswith("[") else None
    except (SyntaxError, ValueError):
        found = None
    return found if isinstance(found, list) and found and all(isinstance(one, str) for one in found) else [text]


def _number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
