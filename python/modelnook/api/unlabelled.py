"""Rows without a label that a person gives beside the labelled ones: in any form, with the inputs of the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from modelnook.api.reading import Read, check_features, read_table
from modelnook.domain.dataset import Columns, DatasetRef
from modelnook.domain.errors import DataError, UsageError
from modelnook.store import Store
from modelnook.tasks.spec import Spec

__all__ = ["read_more", "read_unlabelled"]


def read_unlabelled(store: Store, data: Any, spec: Spec, table: Read, method: str) -> DatasetRef:
    """A snapshot of the rows without labels that ``finetune`` is given.

    Raises:
        UsageError: a task whose rows can't be labelled so, a method that is the second opinion itself.
        DataError: no column is plainly the input, or one that the labelled rows have is missing.
    """
    from modelnook.classic.tfidf import Tfidf, kind_of
    from modelnook.data.read import read
    from modelnook.data.snapshot import snapshot
    from modelnook.finetune import METHODS, alone

    if kind_of(spec) != "one" or Tfidf.name not in spec.methods:
        raise UsageError("api.unlabelled_task", task=spec.name)
    if alone(method):
        raise UsageError("api.unlabelled_method", method=method)
    METHODS.check(Tfidf.name)
    rows = read(_as_table(data, spec))
    return snapshot(rows, _alike(rows, spec, table.columns.to_dict(), {}), store.home)


def read_more(
    store: Store,
    data: Any,
    spec: Spec,
    given: Mapping[str, str],
    labelled: Mapping[str, str] | None,
    features: Collection[str],
) -> DatasetRef:
    """A snapshot of the rows without labels that a verb is given which makes a model smaller.

    Args:
        given: role -> column, as the person said or as the training rows had them; those that aren't there are found.
        labelled: role -> column of the rows that a student learns from beside these; None where none learns.
        features: see :func:`modelnook.api.rows.read_table`.

    Raises:
        DataError: an input that the labelled rows have, or that a model of a table reads, is missing.
    """
    from modelnook.data.read import read

    rows = read(_as_table(data, spec))
    # A list of texts has none of the columns that the labelled rows have.
    named = {role: column for role, column in given.items() if role not in spec.targets and column in rows}
    if features:
        check_features(features, rows)
        rows = rows.select(list(features))
    elif labelled is not None:
        named = _alike(rows, spec, labelled, named).to_dict()
    read_in = read_table(store, rows, spec, named, asked=True, features=features)
    spec.check_inputs(read_in.values())
    return read_in.ref


def _alike(rows: Any, spec: Spec, labelled: Mapping[str, str], given: Mapping[str, str]) -> Columns:
    """The inputs that the labelled rows have: as given, called as there, or found anew.

    Raises:
        DataError: one is missing.
    """
    from modelnook.data.columns import find_form

    wanted = {role for role in labelled if role in spec.read}
    names = {role: labelled[role] for role in wanted if labelled[role] in rows}
    names |= {role: column for role, column in given.items() if role in wanted}
    optional = [role for role in spec.optional if role in wanted]
    columns = find_form(rows, spec.shapes(asked=True), names, optional=optional)
    if set(columns.to_dict()) != wanted:
        raise DataError("api.unlabelled_columns", known=", ".join(rows.names), wanted=", ".join(sorted(wanted)))
    return columns


def _as_table(data: Any, spec: Spec) -> Any:
    """A list, a Series, an array or a data set's column of texts as a table of one column; anything else as it is."""
    from modelnook.data.read import kind_of

    cells = data.tolist() if hasattr(data, "tolist") and not hasattr(data, "columns") else data
    if not isinstance(cells, Sequence) or kind_of(cells) != "records":
        return data
    cells = [None if _missing(cell) else cell for cell in cells]
    if not any(cells) or not all(cell is None or isinstance(cell, str) for cell in cells):
        return data
    # What reads a table has no role for a text: that its columns are missing is said of it then.
    role = spec.inputs[0] if spec.inputs else "text"
    return [{role: cell} for cell in cells]


def _missing(cell: Any) -> bool:
    """NaN isn't equal to itself; pandas' own two have types of their own."""
    return type(cell).__name__ in ("NoneType", "NAType", "NaTType") or (isinstance(cell, float) and cell != cell)
