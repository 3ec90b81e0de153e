"""Reading a person's table for a verb: which columns play which part, and those that a made model reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelnook.domain.dataset import FEATURE, SLICE, Columns, DatasetRef
from modelnook.domain.errors import DataError, NotFoundError, UsageError, unknown
from modelnook.domain.model import ModelInfo
from modelnook.store import Store
from modelnook.tasks.spec import Spec

__all__ = [
    "Read",
    "base_and_rows",
    "check_features",
    "features_of",
    "given_columns",
    "read_table",
    "read_validation",
    "spec_of",
    "without",
]


def spec_of(task: str | None) -> Any:
    from modelnook.tasks import TASKS

    return TASKS.load(task or "", light=True)()


@dataclass(frozen=True, slots=True)
class Read:
    """A person's data, read: rows, the roles of its columns, and its snapshot."""

    rows: Any
    columns: Columns
    ref: DatasetRef

    def values(self) -> dict[str, Any]:
        """Role -> values."""
        return {role: self.rows.column(column) for role, column in self.columns.to_dict().items()}


def read_table(
    store: Store,
    data: Any,
    spec: Spec,
    given: dict[str, str],
    *,
    part: str = "train",
    asked: bool = False,
    divides: str | None = None,
    features: Collection[str] = (),
) -> Read:
    """A person's data with its columns found, kept as a snapshot.

    Args:
        asked: whether rows without targets will do, where none is named.
        divides: the column that tells which rows validate: nothing that a model reads of a table.
        features: the columns that a model of a table reads, see :func:`features_of`; without any all are features.
            Others are read for a role alone, such as the label's, or that by which an evaluation is sliced.

    Raises:
        UsageError: a column is given for a role that the task doesn't have.
        DataError: one of ``features`` is missing, or no column is plainly the one for a role.
    """
    from modelnook.data.columns import with_features
    from modelnook.data.media import encoded
    from modelnook.data.read import read
    from modelnook.data.snapshot import snapshot

    roles = tuple(dict.fromkeys((*spec.read, *spec.targets, *(r for form in spec.shapes() for r in form))))
    for role in given if not spec.features else ():
        if role not in roles and not role.startswith(SLICE):
            raise UsageError("api.no_role", task=spec.name, role=role, column=given[role], known=", ".join(roles))
    rows = read(data, part=part)
    # A column that training had, the same in all of its rows, is no feature of the model; a feature is no label.
    given = {role: column for role, column in given.items() if not (features and role.startswith(FEATURE))}
    check_features(features, rows)
    cuts = {column for role, column in given.items() if role.startswith(SLICE)}
    others = rows.select([name for name in rows.names if name not in features or name in cuts])
    columns = _columns(others, spec, given, asked and not set(given) & set(spec.targets))
    if spec.features:
        kept = rows.select(list(features)) if features else rows
        columns = with_features(kept, columns, spec.roles, divides)
    rows = encoded(rows, columns)
    return Read(rows, columns, snapshot(rows, columns, store.home))


def features_of(spec: Spec, entry: ModelInfo) -> tuple[str, ...]:
    """The columns that a model of a table reads; none for one that isn't here, or that reads other things."""
    from modelnook.catalog.papers import json_in
    from modelnook.classic.base import SAID
    from modelnook.runtime.folder import config, learnt

    if not spec.features or not entry.path:
        return ()
    path = Path(entry.path)
    trees = [column["name"] for column in json_in(path / SAID).get("columns") or ()]
    return tuple(learnt(config(path)).get("features") or trees)


def check_features(features: Collection[str], rows: Any) -> None:
    """Refuse a table that lacks a column which a model reads.

    Raises:
        DataError: see above.
    """
    gone = [name for name in features if name not in rows]
    if gone:
        raise DataError("task.missing_columns", columns=", ".join(gone[:10]), known=", ".join(rows.names[:10]))


def _columns(rows: Any, spec: Spec, given: dict[str, str], unlabelled: bool) -> Columns:
    from modelnook.data.columns import find_form

    try:
        return find_form(rows, spec.shapes(), given, optional=spec.optional)
    except DataError:
        if not unlabelled:
            raise
        try:
            return find_form(rows, spec.shapes(asked=True), given, optional=spec.optional)
        except DataError:
            pass
        raise


def read_validation(
    store: Store, data: Any, spec: Spec, given: dict[str, str], drop: str | Sequence[str] | None, table: Read
) -> Read:
    """A person's validation rows, which have no targets but those of the rows to train on.

    Args:
        table: the rows to train on.

    Raises:
        DataError, NotFoundError: as :func:`read_table` and the task; that it is these rows is said.
    """
    from modelnook.data.read import read

    train, columns = table.values(), table.columns
    labels = spec.labels(train)
    try:
        held = read_table(store, without(read(data, part="test"), drop, must=False), spec, given, part="test")
        found = held.values()
        spec.check_inputs(found)
        _check_alike(spec, found, train, {**columns.to_dict(), **held.columns.to_dict()})
        said, wanted = spec.metrics_for(found), spec.metrics_for(train)
        if not set(said) & set(wanted):
            raise DataError("api.other_form", found=", ".join(said), wanted=", ".join(wanted))
        spec.truth(found, labels)
    except (DataError, NotFoundError) as error:
        raise type(error)("api.validation", said=error.message, next=error.hint) from error
    return held


def _check_alike(spec: Spec, held: dict[str, Any], train: dict[str, Any], columns: dict[str, str]) -> None:
    """Refuse validation rows whose inputs aren't those of the rows to train on; ``columns`` are those of both."""
    for role in spec.optional:
        if (role in held) != (role in train):
            found, wanted = (", ".join(r for r in spec.read if r in part) for part in (held, train))
            raise DataError("api.other_inputs", found=found, wanted=wanted, column=columns[role])
    if spec.features:
        # A column that is missing, or holds texts in place of numbers.
        spec.worded(spec.as_rows(held) or [{}], spec.learn(train))


def base_and_rows(verb: str, ref: Any, data: Any) -> tuple[str, Any]:
    """What to start from, and the rows; a table alone is the rows, and the base is chosen.

    Raises:
        UsageError: there are no rows.
    """
    from modelnook.data.read import kind_of

    if data is None and not isinstance(ref, str) and kind_of(ref) not in ("path", "other"):
        return "auto", ref
    if data is None:
        raise UsageError("api.no_data", verb=verb)
    return ref, data


def without(rows: Any, drop: str | Sequence[str] | None, *, must: bool = True, held: Any = None) -> Any:
    """Rows without some columns, named in a list or with commas between them.

    Args:
        held: validation rows, which may have a column to leave out that the others don't.

    Raises:
        NotFoundError: one that isn't there, unless ``must`` is False.
    """
    from modelnook.data.read import read

    names = [n.strip() for n in drop.split(",")] if isinstance(drop, str) else list(drop or ())
    gone = [name for name in names if must and name not in rows]
    if gone and held is not None:
        there = read(held, part="test").names
        gone = [name for name in gone if name not in there]
    if gone:
        raise unknown("column", gone[0], rows.names, kind=NotFoundError)
    return rows.select([name for name in rows.names if name not in names]) if names else rows


def given_columns(text: str | None, label: str | None, columns: Any) -> dict[str, str]:
    given = dict(columns or {})
    given |= {role: name for role, name in (("text", text), ("label", label)) if name}
    return given
