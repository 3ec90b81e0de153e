"""Which rows of a person's table train, validate and are held out: by one of its columns, or by chance."""

from __future__ import annotations

from typing import Any

from modelnook.api.reading import Read
from modelnook.domain.dataset import Columns, Split
from modelnook.domain.event import Warned
from modelnook.tasks.spec import Spec

__all__ = ["divided", "of_split", "three_parts"]


def divided(table: Read, whole: Any, split: Split, seed: int) -> dict[str, list[int]]:
    """Positions of the rows to train and to validate on.

    Args:
        whole: the rows as they were given; the split's column may be one that no model is to see.
    """
    from modelnook.data.split import split as divide

    rows, columns = _with_column(table, whole, split)
    train, validation = divide(rows, columns, split, seed)
    return {"train": train, "validation": validation}


def three_parts(table: Read, whole: Any, split: Split, seed: int, *, validated: bool) -> dict[str, list[int]]:
    """Training, validation and held-out rows, by position; the held-out ones come as the split says.

    Args:
        validated: whether a person gave the validation rows; see :func:`divided` for the others.
    """
    from modelnook.data.split import split as divide

    rows, columns = _with_column(table, whole, split)
    train, holdout = divide(rows, columns, split, seed)
    if validated:
        return {"train": train, "holdout": holdout}
    # The column has said its part: which of its training rows validate is left to chance.
    again = Split(fraction=split.fraction) if split.kind == "predefined" else split
    inner, validation = divide(rows.take(train), columns, again, seed + 1)
    return {"train": inner, "validation": validation, "holdout": holdout}


def of_split(spec: Spec, split: Split, *, used: bool = True) -> tuple[Warned, ...]:
    """What to say of a split: that it isn't used, or that a table's times, often features, aren't learnt from."""
    if split.column is None:
        return ()
    if not used:
        return (Warned.of("data.split_unused", split=str(split)),)
    return (Warned.of("data.time_left_out", column=split.column),) if spec.features and split.kind == "time" else ()


def _with_column(table: Read, whole: Any, split: Split) -> tuple[Any, Columns]:
    rows, column = table.rows, split.column
    if column is not None and column not in rows and column in whole:
        rows = rows.with_column(column, whole.raw(column))
    return rows, table.columns
