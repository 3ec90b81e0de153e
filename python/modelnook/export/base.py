"""An exporter: a model folder in, a folder that other tools load by themselves out."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from modelnook.domain.event import Emit

__all__ = ["Exporter", "shown"]


def shown(ref: str) -> str:
    """A reference as others may read it: of a folder here its name, not the way to it.

    >>> shown("path:/home/ann/models/spam"), shown("pip:tiny@1")
    ('spam', 'pip:tiny@1')
    """
    return re.split(r"[\\/]", ref.rstrip("\\/"))[-1] if ref.startswith("path:") else ref


class Exporter(ABC):
    """One format."""

    name: ClassVar[str]
    weights: ClassVar[str]
    """The file in which other tools find the weights."""
    tolerance: ClassVar[float]
    """How far a number of the outputs may be from the original's, absolute; more is said."""

    @abstractmethod
    def write(
        self, source: Path, folder: Path, *, task: str, rows: Sequence[Any], name: str, emit: Emit
    ) -> dict[str, Any]:
        """Fill an empty folder; what it gives goes into the report.

        Args:
            rows: some of the rows that the result is compared on.
            name: what the model calls itself, where the format says that.
            emit: may raise :class:`~modelnook.domain.event.Stopped` to end it, which is let through.

        Raises:
            UnsupportedError: weights that the format can't hold, an architecture or operation that can't be written.
        """

    @abstractmethod
    def snippet(self, task: str) -> str:
        """Python that loads the folder without modelnook, for its card."""
