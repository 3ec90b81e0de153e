"""What every card is made of, whatever it is rendered to: a title, a few pieces, one line of warnings, a next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "MAX_LINES",
    "Bar",
    "Card",
    "Chart",
    "Dot",
    "Dots",
    "Facts",
    "Fold",
    "Grid",
    "Line",
    "Mark",
    "Marked",
    "Piece",
    "Shares",
]

MAX_LINES = 12
"""No card is longer than this, warnings and all (promise 3 of the contract)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of plain text. ``tone`` is ``plain``, ``quiet`` or ``bad``; ``href`` makes it a link."""

    text: str
    tone: str = "plain"
    href: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Pairs of a label and a value on one line; pairs without a value are left out.

    With ``whole`` the line is never cut or broken: a person copies the path in it.
    """

    pairs: tuple[tuple[str, str], ...]
    whole: bool = False

    @property
    def said(self) -> tuple[tuple[str, str], ...]:
        """The pairs that have something to say."""
        return tuple((label, value) for label, value in self.pairs if value)


@dataclass(frozen=True, slots=True)
class Grid:
    """A small table of texts. Columns in ``right`` are numbers; rows in ``strong`` stand out.

    ``more`` is said below where not all rows fit, with ``{n}`` for how many are left; ``total`` counts those that the
    value itself left out as well. ``first`` is for the table that the card is about: the others give way to it, and
    say ``brief`` on the line of facts below where they have no room.
    ``places`` says where the last cell of each row leads, in HTML: a page of the web is
    linked, a folder is told when one points at it.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[int, ...] = ()
    strong: tuple[int, ...] = ()
    caption: str = ""
    more: str = ""
    total: int = 0
    first: bool = False
    brief: str = ""
    places: tuple[str, ...] = ()

    def left(self, shown: int) -> int:
        """How many rows there are beside the ``shown`` ones."""
        return max(self.total, len(self.rows)) - shown


@dataclass(frozen=True, slots=True)
class Bar:
    """How far something is: ``part`` between 0 and 1, or None where nobody knows."""

    part: float | None
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over steps: name -> (steps, values). Text cards leave it out: its last values are said elsewhere."""

    title: str
    series: dict[str, tuple[Sequence[float], Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Dot:
    """One point of a scatter: ``mark`` stands beside it, ``name`` says what it is; ``front``: nothing beats it."""

    mark: str
    name: str
    x: float
    y: float
    front: bool


@dataclass(frozen=True, slots=True)
class Dots:
    """A scatter of things to choose from, whose table stands beside it. Text cards leave it out."""

    title: str
    x: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of a whole, the largest first: name -> share between 0 and 1, as bars with a table; text has the first.

    ``name`` and ``share`` are the table's heads.
    """

    title: str
    name: str
    share: str
    shares: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """Preformatted text under a heading: folded in HTML, cut to what fits in text."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A word: ``weight`` between -1 and 1 is its tone, ``said`` its number, which stands beside it if ``strong``;
    ``after`` is what follows it."""

    text: str
    weight: float = 0.0
    said: str = ""
    strong: bool = False
    after: str = ""


@dataclass(frozen=True, slots=True)
class Marked:
    """A text with its words tinted, under a heading; ``brief`` is all that a text card says of it."""

    head: str
    marks: tuple[Mark, ...]
    brief: str
    legend: str = ""


Piece = Line | Facts | Grid | Bar | Chart | Dots | Shares | Fold | Marked


@dataclass(frozen=True, slots=True)
class Card:
    """One value as a person reads it.

    ``tone`` colours the badge: ``plain good busy warn bad``. ``where`` is the command that shows all warnings. With
    ``whole`` all lines are shown: of help pages, which are no results, and of what a person asked for.
    """

    title: str
    badge: str = ""
    tone: str = "plain"
    pieces: tuple[Piece, ...] = ()
    warnings: tuple[str, ...] = ()
    hint: str = ""
    where: str = ""
    whole: bool = False
