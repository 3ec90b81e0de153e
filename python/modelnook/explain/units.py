"""An input in units that can be left out: words of a text, characters of a Chinese one, columns of a table."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from modelnook.tasks.answers import sentences
from modelnook.tasks.text import as_text
from modelnook.tasks.words import starts_wide, words_of

if TYPE_CHECKING:
    from modelnook.explain.room import Reads
    from modelnook.tasks.spec import Spec

__all__ = ["Cells", "Divided", "Unit", "Words", "divided", "words"]

_OPENING = ("Ps", "Pi")


@dataclass(frozen=True, slots=True)
class Unit:
    """A word or a cell: its place in the text of ``column``, and the number of the sentence that it stands in."""

    column: str
    token: str
    start: int
    end: int
    sentence: int = 0


class Divided(ABC):
    """One input."""

    units: tuple[Unit, ...]
    given: dict[str, Any]
    """Column -> value, as it was given."""
    joins: bool
    """Whether consecutive units of a column make a span, as words do."""
    unread: int = 0
    """Words behind the part that the model reads."""

    @abstractmethod
    def keep(self, stays: Sequence[Any]) -> Any:
        """The input with those units alone that stay, as a runtime takes it."""


class Words(Divided):
    """A text, or several, such as a pair. What stands between two words goes with the first of them."""

    joins = True

    def __init__(self, row: Any, given: Mapping[str, Any], reads: Reads | None = None) -> None:
        self._row = row
        self.given = {column: as_text(value) for column, value in given.items()}
        texts = list(self.given.values())
        read = reads(texts) if reads else [len(text) for text in texts]
        units: list[Unit] = []
        self._pieces: dict[str, list[str]] = {}
        for (column, text), most in zip(self.given.items(), read, strict=True):
            starts = [start for start, _ in sentences(text)]
            # Sentences of one text aren't those of another.
            first = units[-1].sentence + 1 if units else 0
            every = words(text)
            places = [place for place in every if place[0] < most]
            self.unread += len(every) - len(places)
            units += [Unit(column, text[a:b], a, b, first + bisect_right(starts, a)) for a, b in places]
            # What nobody reads is gone with the first word: in its place it would be read.
            end = most if len(places) < len(every) else len(text)
            edges = [0, *(a for a, _ in places[1:]), end]
            self._pieces[column] = [text[a:b] for a, b in pairwise(edges)] if places else []
        self.units = tuple(units)

    def keep(self, stays: Sequence[Any]) -> Any:
        """See :meth:`Divided.keep`."""
        if all(stays):
            return self._row
        left, at = {}, 0
        for column, pieces in self._pieces.items():
            here = stays[at : at + len(pieces)]
            left[column] = "".join(p for p, stay in zip(pieces, here, strict=True) if stay).strip()
            at += len(pieces)
        return {**self._row, **left} if isinstance(self._row, Mapping) else next(iter(left.values()))

    def places(self, column: str) -> list[int]:
        """Where the piece of each unit of a column begins: together they are the whole text."""
        starts = [unit.start for unit in self.units if unit.column == column]
        return [0, *starts[1:]] if starts else []


class Cells(Divided):
    """A row of a table; ``gone`` stands for a cell that is left out: missing, where the model knows no better."""

    joins = False

    def __init__(self, row: Mapping[str, Any], known: Collection[str] | None, gone: Any = None) -> None:
        self._row, self._gone = dict(row), gone
        self.given = {name: value for name, value in row.items() if known is None or name in known}
        said = {name: as_text(value) for name, value in self.given.items()}
        self.units = tuple(Unit(name, text, 0, len(text)) for name, text in said.items())

    def keep(self, stays: Sequence[Any]) -> Any:
        """See :meth:`Divided.keep`."""
        gone = {unit.column: self._gone for unit, stay in zip(self.units, stays, strict=True) if not stay}
        return {**self._row, **gone}


def divided(
    row: Any, spec: Spec, known: Collection[str] | None = None, reads: Reads | None = None, gone: Any = None
) -> Divided:
    """An input as a runtime takes it, divided.

    Args:
        known: the columns that a model of tables reads, where that can be told.
        reads: how much of its texts the model reads; all without it.
        gone: see :class:`Cells`.
    """
    if spec.features:
        return Cells(row, known, gone)
    given = {role: values[0] for role, values in spec.as_columns([row]).items()}
    return Words(row, {role: given[role] for role in spec.read if role in given}, reads)


def words(text: str) -> list[tuple[int, int]]:
    """Where each word stands, with the marks that are written to it; Chinese and Japanese characters by themselves.

    Languages of other scripts without blanks between words, such as Thai, are divided at the blanks that they have.

    >>> text = "Don't wait, 房间很好。 (free)"
    >>> [text[a:b] for a, b in words(text)]
    ["Don't", 'wait,', '房', '间', '很', '好。', '(free)']
    """
    found: list[tuple[int, int]] = []
    for start, end in words_of(text)[1]:
        if found and found[-1][1] == start and _joined(text[found[-1][0] : start], text[start:end]):
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _joined(before: str, piece: str) -> bool:
    """Whether a piece belongs to what stands right before it."""
    if unicodedata.category(before[-1]) in _OPENING:
        return True
    if not piece[0].isalnum():
        return unicodedata.category(piece[0]) not in _OPENING
    return not (starts_wide(piece) or any(map(starts_wide, before)))
