"""Why a model answers as it does: each word's, or column's, part in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from modelnook.domain.shown import Shown
from modelnook.domain.table import Table, jsonable

__all__ = ["LOG_ODDS", "NUMBER", "Explained", "Explanation", "Part"]

LOG_ODDS, NUMBER = "log-odds", "number"
"""What scores are counted in: the log-odds of a label, or the unit of the number that the model says."""


@dataclass(frozen=True, slots=True)
class Part:
    """A word, a span of words, or a table's cell.

    ``score`` is what it does for the answer, negative where it speaks against it; ``error`` its standard error where it
    was sampled. ``start`` and ``end`` are its place in the text of ``column``.
    """

    token: str
    score: float
    error: float | None = None
    column: str = "text"
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Explained:
    """One input.

    ``score`` is the probability of ``label``; both are None where the model says a number. ``value`` is the answer in
    the unit of the parts' scores, ``base`` the same with everything left out.
    """

    given: dict[str, Any]
    label: str | None
    score: float | None
    value: float
    base: float
    parts: tuple[Part, ...]
    predictions: int
    """How many were made for it."""
    unread: int = 0
    """Words at the end that the model has no room for, and which are no parts."""
    likeliest: str | None = None
    """The model's own label (labels, where it gives several), where another one was asked for."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        plain = {name: str(v) if not isinstance(v, str | int | float | None) else v for name, v in self.given.items()}
        said = {**asdict(replace(self, given={}, parts=())), "given": plain, "parts": [asdict(p) for p in self.parts]}
        found: dict[str, Any] = jsonable(said)
        return found


@dataclass(frozen=True, slots=True)
class Explanation(Shown):
    """What ``explain`` gives: the inputs, each with its parts; ``explanation[2]`` is that of the third alone.

    ``why`` says in a sentence why ``method`` was chosen where nobody asked for one; ``unit`` is :data:`LOG_ODDS` or
    :data:`NUMBER`.

    >>> parts = (Part("win", 1.5, start=0, end=3), Part("lunch", -0.5, start=4, end=9))
    >>> item = Explained({"text": "win lunch"}, "spam", 0.73, 1.0, 0.0, parts, 4)
    >>> found = Explanation("local:spam@1", "text-classification", "occlusion", (item,))
    >>> found.tokens, found.scores
    (('win', 'lunch'), (1.5, -0.5))
    """

    model: str
    task: str
    method: str
    items: tuple[Explained, ...]
    unit: str = LOG_ODDS
    why: str = ""
    note: str = ""

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: int | slice) -> Explanation:
        found = self.items[at]
        return replace(self, items=found if isinstance(found, tuple) else (found,))

    def __iter__(self) -> Iterator[Explanation]:
        return (self[at] for at in range(len(self)))

    @property
    def tokens(self) -> tuple[str, ...]:
        """The words or cells, in their order; of several inputs one input's after another's."""
        return tuple(part.token for item in self.items for part in item.parts)

    @property
    def scores(self) -> tuple[float, ...]:
        """The score of each of :attr:`tokens`."""
        return tuple(part.score for item in self.items for part in item.parts)

    @property
    def table(self) -> Table:
        """A row for each part: ``row`` is the number of its input, from 0."""
        rows = (
            (at, item.label, part.column, part.token, part.score, part.error, part.start, part.end)
            for at, item in enumerate(self.items)
            for part in item.parts
        )
        return Table(("row", "label", "column", "token", "score", "error", "start", "end"), tuple(rows))

    def to_frame(self) -> Any:
        """:attr:`table` as a pandas DataFrame."""
        return self.table.to_frame()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "model": self.model,
            "task": self.task,
            "method": self.method,
            "unit": self.unit,
            "why": self.why,
            "items": [item.to_dict() for item in self.items],
        }
