"""A table of examples: which columns play which part, how it is split, what identifies it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from modelnook.domain.errors import UsageError, unknown

__all__ = ["FEATURE", "SLICE", "Columns", "DatasetRef", "Fingerprint", "Split"]

FEATURE = "feature:"
"""A column that is one of many of a table that is read whole has the role of this and its name."""

SLICE = "slice:"
"""A column by which an evaluation is sliced has the role of this and its name."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Role -> column name, e.g. ``{"text": "body", "label": "is_spam"}``."""

    roles: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, **roles: str) -> Columns:
        """Build from keywords.

        >>> Columns.of(text="body", label="y")["text"]
        'body'
        """
        return cls(tuple(sorted(roles.items())))

    def __getitem__(self, role: str) -> str:
        return dict(self.roles)[role]

    def get(self, role: str) -> str | None:
        """The column of a role, or None."""
        return dict(self.roles).get(role)

    def to_dict(self) -> dict[str, str]:
        """Role -> column."""
        return dict(self.roles)


@dataclass(frozen=True, slots=True)
class Split:
    """How validation rows are taken where none were given: ``random``, or by a column.

    >>> Split.parse("time:date")
    Split(kind='time', column='date', fraction=0.1)
    """

    kind: str = "random"
    column: str | None = None
    fraction: float = 0.1

    @classmethod
    def parse(cls, text: str) -> Split:
        """Read ``random``, ``time:COLUMN``, ``group:COLUMN`` or ``predefined:COLUMN``."""
        kind, _, column = text.partition(":")
        kinds = ("random", "time", "group", "predefined")
        if kind not in kinds:
            raise unknown("split", kind, kinds)
        if (kind == "random") == bool(column):
            raise UsageError("data.split_column", split=text)
        return cls(kind, column or None)

    def __str__(self) -> str:
        return f"{self.kind}:{self.column}" if self.column else self.kind


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What identifies the rows that a run used: sha256 over the used columns in order (hex), and the row count."""

    sha256: str
    rows: int

    def __str__(self) -> str:
        return self.sha256[:12]


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """A snapshot in the store, and what it was taken from. ``columns`` is role -> column name."""

    fingerprint: str
    rows: int
    columns: dict[str, str]
    name: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> DatasetRef:
        """Read :meth:`to_dict`'s form."""
        return cls(**{k: v for k, v in data.items() if k in cls.__dataclass_fields__})
