"""What ``export`` gives: the path that was written, which knows its parity report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelnook.domain.table import jsonable

__all__ = ["Exported"]

# Path itself can't be subclassed before Python 3.12: its platform's own kind can.
if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())


class Exported(_Path):
    """A path like any other, with what was measured while it was written.

    >>> path = Exported.of("topics-onnx", {"format": "onnx", "equal": 1.0})
    >>> path.name, path.report["equal"], (path / "model.onnx").name
    ('topics-onnx', 1.0, 'model.onnx')

    Attributes:
        report: ``format``, ``bytes``, ``max_difference`` and ``tolerance`` (of the outputs, absolute), ``equal`` (the
            share of rows with the same answer), ``rows``, ``data`` (``validation``, ``data`` or ``own``), ``model``.
        note: where nothing was written because the same was there already.
    """

    report: dict[str, Any] | None = None
    note: str = ""

    @classmethod
    def of(cls, path: str | Path, report: dict[str, Any], note: str = "") -> Exported:
        """A path with its report."""
        made = cls(path)
        made.report, made.note = report, note
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of, (str(self), self.report, self.note)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"path": str(self), "report": jsonable(self.report)}
