"""An exporter: a model folder in, a folder that other tools load by themselves out."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from modelnook.domain.event import Emit
from modelnook.domain.model import is_path
from modelnook.runtime.folder import learnt

__all__ = ["TEXT", "Exporter", "shown"]

TEXT = '"a text"'
"""What a snippet reads."""


def shown(ref: str) -> str:
    """A reference as others may read it: of a folder here its name, not the way to it.

    >>> shown("path:/home/ann/models/spam"), shown("/home/ann/spam"), shown("pip:tiny@1")
    ('spam', 'spam', 'pip:tiny@1')
    """
    here = ref.startswith("path:") or is_path(ref)
    return re.split(r"[\\/]", ref.rstrip("\\/"))[-1] if here else ref


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

    def example(self, task: str, said: Mapping[str, Any]) -> str:
        """The snippet with what a model's config tells: how a table's row is worded, the unit of a number."""
        code, told = self.snippet(task).rstrip("\n"), learnt(dict(said))
        if task == "table" and told.get("features"):
            code = _row(told["features"]) + code.replace(TEXT, "row")
        if task == "text-regression" and told:
            # What the program gives are standard scores.
            mean, std = float(told.get("mean", 0.0)), float(told.get("std", 1.0))
            code += f"\nvalue = float(outputs[0].ravel()[0]) * {std!r} + {mean!r}  # in the unit of the label"
        return code + "\n"


def _row(features: Mapping[str, Sequence[float] | None]) -> str:
    """A row of a table as the text that is read, and how others are worded; no value of a person's stands in it."""
    from modelnook.tasks.table import TENTHS, TableClassification

    middle = {name: limits[len(limits) // 2] if limits else None for name, limits in features.items()}
    [text] = TableClassification().worded([middle], {"features": features})
    return (
        "# A row is its columns and values in this order. Where config.json has limits of a column in\n"
        f"# modelnook_learnt, its number is words[round(bisect.bisect_right(limits, number) * {len(TENTHS) - 1} "
        "/ len(limits))]\n"
        f"# with words = {json.dumps(TENTHS)}\n"
        f"row = {json.dumps(text, ensure_ascii=False)}\n\n"
    )
