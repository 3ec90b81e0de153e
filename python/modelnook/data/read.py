"""``read``: whatever a person calls data, as rows. Told apart by the module of its type: asking imports nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelnook.data.files import is_url, looks_like_file, named_like, read_file, redacted
from modelnook.data.hub import load
from modelnook.domain.errors import DataError, MissingPackage, NotFoundError
from modelnook.messages import t

if TYPE_CHECKING:
    from modelnook.data.frame import Rows

__all__ = ["kind_of", "read", "validation_part"]


def read(data: Any, *, part: str = "train") -> Rows:
    """Rows of a DataFrame, ``datasets.Dataset`` or ``DatasetDict``, Arrow table, list of dicts, dict of lists,
    path, URL or ``hub:owner/name``.

    Args:
        data: the person's data.
        part: where it has several splits, the one meant: ``train``, or ``test`` to evaluate on.

    Raises:
        NotFoundError: a file, or a data set on the hub, that isn't there.
        DataError: an empty table, an unreadable file, something that isn't a table.
        OfflineError: needs the network while it is off.
        RefusedError: a data set on the hub whose terms must be accepted first, or that would run a script.
        UsageError: a data set on the hub that isn't named right, or without its configuration.
        MissingPackage: what reads this kind isn't installed.

    >>> read([{"text": "good", "label": 1}, {"text": "bad", "label": 0}]).column("label")
    [1, 0]
    """
    try:
        from modelnook.data import frame  # noqa: F401 - asks whether pyarrow is there
    except ModuleNotFoundError as error:
        raise MissingPackage(
            "core.missing_package",
            family=t("what.file"),
            name=kind_of(data),
            package=error.name or "pyarrow",
            extra="data",
        ) from error
    rows = _READERS[kind_of(data)](data, part)
    if not len(rows) or not rows.names:
        if kind_of(data) in ("path", "hub"):
            raise DataError("data.empty", data=redacted(os.fspath(data)))
        raise DataError("data.empty_table")
    return rows


def kind_of(data: Any) -> str:
    """``path hub frame series dataset parts arrow records columns rows`` or ``other``; imports nothing.

    >>> kind_of([{"text": "a"}]), kind_of("hub:owner/name"), kind_of({"text": ["a"]}), kind_of(3)
    ('records', 'hub', 'columns', 'other')
    """
    if isinstance(data, (str, os.PathLike)):
        return "hub" if isinstance(data, str) and data.startswith("hub:") else "path"
    for cls in type(data).__mro__:
        home = cls.__module__.partition(".")[0]
        kind = _KINDS.get((home, cls.__name__))
        if kind:
            return kind
    if isinstance(data, Mapping):
        return "parts" if data and all(map(_is_table, data.values())) else "columns"
    if isinstance(data, Sequence):
        return "records"
    return "arrow" if hasattr(data, "__arrow_c_stream__") else "other"


def _is_table(value: Any) -> bool:
    kind = kind_of(value)
    if kind == "records":
        return len(value) > 0 and isinstance(value[0], Mapping)
    return kind in ("frame", "dataset", "arrow", "rows")


def validation_part(data: Any) -> Any:
    """The validation split of data that has splits (a ``DatasetDict``, a dict of tables), else None."""
    if kind_of(data) != "parts":
        return None
    return next((data[n] for n in ("validation", "valid", "val", "dev", "eval") if n in data), None)


def _path(data: Any, part: str) -> Rows:
    text = os.fspath(data)
    if isinstance(data, str) and not (
        is_url(text) or looks_like_file(text) or re.search(r"[\\/.]", text) or os.path.exists(text)
    ):
        if near := named_like(text):
            raise NotFoundError("data.no_file_near", path=text, near=near)
        raise NotFoundError("data.not_a_path", text=text[:80])
    return read_file(text, part)


def _hub(data: str, part: str) -> Rows:
    loaded = load(data)
    rows = _READERS[kind_of(loaded)](loaded, part)
    # The whole of it: whoever shares a model made from these rows asks there for their licence.
    rows.name = data
    return rows


def _frame(data: Any, part: str) -> Rows:
    from modelnook.data.frame import Rows, unique_names

    names = unique_names(data.columns)
    columns = {name: data.iloc[:, i] for i, name in enumerate(names)}
    return Rows(columns, index=data.index, length=len(data))


def _series(data: Any, part: str) -> Rows:
    from modelnook.data.frame import Rows

    return Rows({str(data.name if data.name is not None else "text"): data}, index=data.index)


def _dataset(data: Any, part: str) -> Rows:
    from modelnook.data.frame import from_arrow

    return from_arrow(data.with_format("arrow")[:])


def _stream(data: Any, part: str) -> Rows:
    raise DataError("data.stream", kind=type(data).__name__)


def _parts(data: Any, part: str) -> Rows:
    from modelnook.data.parse import pick_part

    chosen = data[pick_part([str(n) for n in data], part, "")]
    return _READERS[kind_of(chosen)](chosen, part)


def _arrow(data: Any, part: str) -> Rows:
    import pyarrow as pa

    from modelnook.data.frame import from_arrow

    if type(data).__name__ == "RecordBatch":
        data = pa.Table.from_batches([data])
    return from_arrow(data if isinstance(data, pa.Table) else pa.table(data))


def _records(data: Any, part: str) -> Rows:
    from modelnook.data.frame import from_records

    odd = next((i for i, record in enumerate(data) if not isinstance(record, Mapping)), None)
    if odd is not None:
        raise DataError("data.record", data=t("data.a_list"), row=odd, kind=type(data[odd]).__name__)
    return from_records(data)


def _columns(data: Any, part: str) -> Rows:
    from modelnook.data.frame import Rows

    lengths = {}
    for name, values in data.items():
        if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
            raise DataError("data.column_kind", column=name, kind=type(values).__name__)
        lengths[str(name)] = len(values)
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{n} {count}" for n, count in lengths.items())
        raise DataError("data.lengths", lengths=listed)
    return Rows({str(n): v for n, v in data.items()})


def _rows(data: Any, part: str) -> Rows:
    rows: Rows = data
    return rows


def _other(data: Any, part: str) -> Rows:
    raise DataError("data.kind", kind=type(data).__name__)


_KINDS = {
    ("pandas", "DataFrame"): "frame",
    ("pandas", "Series"): "series",
    ("datasets", "Dataset"): "dataset",
    ("datasets", "DatasetDict"): "parts",
    ("datasets", "IterableDataset"): "stream",
    ("datasets", "IterableDatasetDict"): "stream",
    ("pyarrow", "Table"): "arrow",
    ("pyarrow", "RecordBatch"): "arrow",
    ("modelnook", "Rows"): "rows",
}
_READERS = {
    "path": _path,
    "hub": _hub,
    "frame": _frame,
    "series": _series,
    "dataset": _dataset,
    "stream": _stream,
    "parts": _parts,
    "arrow": _arrow,
    "records": _records,
    "columns": _columns,
    "rows": _rows,
    "other": _other,
}
