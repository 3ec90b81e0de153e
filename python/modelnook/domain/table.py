"""A small table of values: what a frame is until somebody asks for pandas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from modelnook.domain.shown import Shown

__all__ = ["Table", "jsonable"]


@dataclass(frozen=True, slots=True)
class Table(Shown):
    """Columns and rows; ``to_dict`` is ``{"columns": […], "rows": [[…]]}``."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def to_frame(self) -> Any:
        """A pandas DataFrame."""
        import pandas

        return pandas.DataFrame([list(r) for r in self.rows], columns=list(self.columns))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; NaN and infinities become null."""
        return {"columns": list(self.columns), "rows": [[jsonable(v) for v in r] for r in self.rows]}


def jsonable(value: Any) -> Any:
    """``value`` with what JSON can't say made null: NaN, infinities.

    >>> jsonable({"a": (1.0, float("nan"))})
    {'a': [1.0, None]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(v) for v in value]
    return value
