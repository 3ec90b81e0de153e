"""What ``predict`` gives: a DataFrame of the task's columns that shows itself beside the inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, ClassVar

import pandas as pd

from modelnook.messages import t

__all__ = ["Answers"]

_INPUT, _CELL, _TOP, _ROWS = 60, 80, 3, 60


class Answers(pd.DataFrame):
    """A DataFrame in all that it does; only what a person sees of it has the inputs in front and short numbers.

    What is made of it (a filter, a column, a copy) is a plain DataFrame.
    """

    _metadata: ClassVar[list[str]] = ["_given", "_note"]

    @classmethod
    def of(
        cls, answers: Sequence[Mapping[str, Any]], inputs: Sequence[Any], index: Any, names: Any, note: str = ""
    ) -> Answers:
        """The answers to ``inputs``, in their order; ``note`` is a line above them."""
        made = cls(answers, index=index, columns=names)
        object.__setattr__(made, "_note", note)
        # The index stands for the order: once a person sorts the frame, its inputs are no longer beside it.
        object.__setattr__(made, "_given", (made.index, inputs))
        return made

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame

    def __reduce__(self) -> Any:
        # Who reads the pickle may not have modelnook.
        return pd.DataFrame, (pd.DataFrame(self),)

    def shown(self, rows: int | None = None) -> pd.DataFrame:
        """The first ``rows``, all without it, as they are displayed."""
        part = pd.DataFrame(self).head(len(self) if rows is None else rows)
        told = pd.DataFrame({name: [_cell(value) for value in part[name]] for name in part.columns}, index=part.index)
        inputs = self._beside()
        if inputs is not None:
            told.insert(0, _heading(told), [_said(row) for row in inputs[: len(part)]])
        return told

    def _beside(self) -> Sequence[Any] | None:
        """The inputs in the order of the rows; None once a person sorted or cut the frame."""
        index, inputs = getattr(self, "_given", (None, ()))
        # Sorted and numbered anew it has an index that is equal, and another one.
        return inputs if index is not None and self.index.is_(index) else None

    def with_inputs(self) -> pd.DataFrame:
        """All of it, for a file: the answers, then the inputs in ``input``; images and sounds are left out.

        Once the frame was sorted or cut there are none beside it.
        """
        told, inputs = pd.DataFrame(self), self._beside()
        if inputs is None or "input" in told.columns:
            return told
        said = [_kept(row) for row in inputs]
        return told.assign(input=said) if any(row is not None for row in said) else told

    def text(self, rows: int | None = None) -> str:
        """A table for a terminal."""
        said: str = self.shown(rows).to_string(justify="left")
        return self.noted("\n".join(line.rstrip() for line in said.splitlines())) + self._left(rows)

    def noted(self, said: str) -> str:
        """What is said of them, below the note."""
        return "\n".join([*self._noted(), said])

    def _noted(self) -> list[str]:
        note = getattr(self, "_note", "")
        return [note] if note else []

    def _left(self, rows: int | None) -> str:
        left = len(self) - rows if rows is not None else 0
        return "\n" + t("cards.more").format(n=f"{left:,}") if left > 0 else ""

    def __repr__(self) -> str:
        return self.text(_ROWS)

    def _repr_html_(self) -> str:
        with pd.option_context("display.max_colwidth", _CELL + 1):
            note = "".join(f"<p>{escape(line)}</p>" for line in self._noted())
            return note + self.shown(_ROWS).to_html() + self._left(_ROWS).strip()


def _heading(told: pd.DataFrame) -> str:
    name = t("cards.column.input")
    return name if name not in told.columns else f"{name} "


def _said(row: Any) -> str:
    if isinstance(row, Mapping):
        return _clip(" | ".join(f"{name}: {value}" for name, value in row.items()), _INPUT)
    return _clip(str(row), _INPUT) if isinstance(row, str | int | float) else type(row).__name__


def _kept(row: Any) -> Any:
    """What a file can hold of an input."""
    if isinstance(row, Mapping):
        return {name: value for name, value in row.items() if not isinstance(value, bytes)} or None
    return None if isinstance(row, bytes) else row


def _cell(value: Any) -> Any:
    """Numbers with three digits; of a dict of scores the best few."""
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, Mapping) and all(isinstance(v, float) for v in value.values()):
        best = sorted(value.items(), key=lambda pair: -pair[1])[:_TOP]
        more = " …" if len(value) > len(best) else ""
        return ", ".join(f"{name} {score:.3f}" for name, score in best) + more
    return _clip(str(value), _CELL)


def _clip(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
