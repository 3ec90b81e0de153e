"""A typed line as words. Quotes hold words together, an apostrophe inside a word is an apostrophe (``it's``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from modelnook.domain.errors import UsageError
from modelnook.domain.shown import Shown

__all__ = ["Paths", "Quoted", "Scope", "Token", "Value", "quoted", "split", "tokens"]


class Value(str):
    """A word that stands for an object, as ``{run}`` in a magic line does; its text is the object's, in one line."""

    value: Any

    def __new__(cls, value: Any) -> Value:
        self = super().__new__(cls, repr(value) if isinstance(value, Shown) else str(value))
        self.value = value
        return self


class Quoted(str):
    """A word that stood in quotes: an input of its own where bare words together are one text."""


class Scope(Protocol):
    """What a door knows of the words that are typed at it."""

    def expand(self, word: str) -> str:
        """``word`` with its ``{variables}`` replaced."""

    def data(self, word: str) -> Any:
        """The table that a word after ``--data`` stands for, or its path."""


class Paths:
    """The terminal's scope: every word is a path or an address, and the shell has expanded it."""

    def expand(self, word: str) -> str:
        """The word itself."""
        return word

    def data(self, word: str) -> Any:
        """The word itself.

        Raises:
            NotFoundError: it names no file and no address; what is near is suggested.
        """
        from modelnook.data.files import check_named

        check_named(word)
        return word


@dataclass(frozen=True, slots=True)
class Token:
    """A word with the place where it starts, whether its quote is still open, and whether it began with one."""

    text: str
    start: int
    open: str = ""
    quoted: bool = False

    @property
    def word(self) -> str:
        """The text, as :class:`Quoted` where it stood in quotes."""
        return Quoted(self.text) if self.quoted else self.text


def tokens(line: str) -> list[Token]:
    """The words of a line with their places. Brackets after a name keep what is in them: ``ds["a b"]``, ``{x}``."""
    found: list[Token] = []
    i, n = 0, len(line)
    while i < n:
        if line[i].isspace():
            i += 1
            continue
        token, i = _token(line, i)
        found.append(token)
    return found


def _token(line: str, start: int) -> tuple[Token, int]:
    text, quote, brackets, i = "", "", "", start
    while i < len(line):
        c = line[i]
        if quote:
            if c == quote:
                quote, c = "", c if brackets else ""
        elif c in "\"'" and (brackets or i == start or line[i - 1] == "="):
            quote, c = c, c if brackets else ""
        elif c in "[{":
            brackets += c
        elif brackets and c == {"[": "]", "{": "}"}[brackets[-1]]:
            brackets = brackets[:-1]
        elif c.isspace() and not _closes(line, i, brackets):
            break
        text += c
        i += 1
    return Token(text, start, quote, quoted=line[start] in "\"'"), i


def _closes(line: str, i: int, brackets: str) -> bool:
    """Whether an open bracket is closed further on; else it is only a character."""
    return bool(brackets) and {"[": "]", "{": "}"}[brackets[-1]] in line[i:]


def split(line: str) -> list[str]:
    """The words of a line.

    >>> split('predict spam it\\'s "quite good" --data ds["a b"]')
    ['predict', 'spam', "it's", 'quite good', '--data', 'ds["a b"]']

    Raises:
        UsageError: a quote that doesn't end.
    """
    found = tokens(line)
    if found and found[-1].open:
        raise UsageError("verbs.open_quote", quote=found[-1].open)
    return [token.word for token in found]


def quoted(word: str, quote: str = "") -> str:
    """A word as it is typed: in quotes where it would be read as another without them, or where ``quote`` is open.

    >>> quoted("body"), quoted("Review Text"), quoted("body", "'")
    ('body', '"Review Text"', "'body'")
    """
    for said in (word, *(f"{q}{word}{q}" for q in "\"'")) if not quote else (f"{quote}{word}{quote}",):
        found = tokens(said)
        if len(found) == 1 and found[0].text == word and not found[0].open:
            return said
    return word


def body_words(lines: Iterable[str]) -> list[str]:
    """A cell's body of one option a line as words: ``epochs 3``, ``--epochs 3``, ``epochs=3``, ``again``.

    >>> body_words(["epochs 3", "# a remark", "name=my spam", "again"])
    ['--epochs', '3', '--name', 'my spam', '--again']
    """
    words: list[str] = []
    for line in lines:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        first, *rest = split(line)
        name, equals, value = first.partition("=")
        given = [value] if equals and value else []
        given += [w for w in rest if w != "="]
        words.append("--" + name.lstrip("-"))
        if given:
            words.append(given[0] if len(given) == 1 else " ".join(given))
    return words
