"""Rows: a table as this package sees it, whatever it was. The one module here that imports pyarrow at its top."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelnook.domain.errors import DataError, NotFoundError, unknown
from modelnook.domain.event import Warned

__all__ = ["Rows", "canonical", "from_arrow", "from_records", "unique_names"]


_PRINTED = ("Interval", "Period", "Timedelta", "UUID", "PosixPath", "WindowsPath", "date", "time")
"""Kinds of single values that read well as text."""


class Rows:
    """Columns of equal length and, for each row, its position in the table that it was read from (``ids``).

    A column is turned into Arrow when it is first asked for, so the forty columns that nobody uses cost nothing.

    >>> rows = Rows({"text": ["a", "b", "c"], "label": [0, float("nan"), 1]})
    >>> len(rows), rows.names, rows.column("label")
    (3, ['text', 'label'], [0, None, 1])
    >>> rows.take([2, 0]).column("text"), rows.take([2, 0]).ids.tolist()
    (['c', 'a'], [2, 0])

    Args:
        columns: name -> a list, pandas Series, numpy array or pyarrow array.
        index: what ``predict`` puts beside its answers, e.g. the DataFrame's index.
        name: what the data is called in a run's record.
        notes: what a person should know of how it was read.
    """

    def __init__(
        self,
        columns: Mapping[str, Any],
        *,
        index: Any = None,
        name: str = "",
        notes: Iterable[Warned] = (),
        length: int | None = None,
    ) -> None:
        self._columns = dict(columns)
        self._arrays: dict[str, pa.Array] = {}  # shared by every selection from these rows
        self._positions: NDArray[np.int64] | None = None
        first = next(iter(self._columns.values()), ())
        self.ids: NDArray[np.int64] = np.arange(len(first) if length is None else length, dtype=np.int64)
        self.index = index
        self.name = name
        self.notes = tuple(notes)
        self.mixed: dict[str, int] = {}
        """Columns that held text and numbers and were read as text, with the first row of the other kind."""

    @property
    def names(self) -> list[str]:
        """The column names in their order."""
        return list(self._columns)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __repr__(self) -> str:
        return f"Rows({len(self)} rows: {', '.join(self.names)})"

    def arrow(self, name: str) -> pa.Array:
        """A column as one Arrow array of one of the types that :func:`canonical` leaves.

        Raises:
            NotFoundError: no such column; a near miss is suggested.
            DataError: its cells can't be a column: objects of several kinds, or of no kind that Arrow has.
        """
        if name not in self._columns:
            raise unknown("column", name, self.names, kind=NotFoundError)
        if name not in self._arrays:
            self._arrays[name], odd = _array(self._columns[name], name)
            if odd is not None:
                self.mixed[name] = odd
        whole = self._arrays[name]
        return whole if self._positions is None else whole.take(pa.array(self._positions))

    def column(self, name: str) -> list[Any]:
        """A column as Python values; what is missing is None. Raises as :meth:`arrow` does."""
        values: list[Any] = self.arrow(name).to_pylist()
        return values

    def raw(self, name: str) -> Any:
        """A column as it was given, of the whole table; what Arrow can't hold (an image of PIL) as well.

        Raises:
            NotFoundError: no such column.
        """
        if name not in self._columns:
            raise unknown("column", name, self.names, kind=NotFoundError)
        return self._columns[name]

    def with_column(self, name: str, values: Any) -> Rows:
        """The same rows with other values in a column; ``values`` are those of the whole table, see :meth:`raw`."""
        made = self._copy()
        made._columns = {**self._columns, name: values}
        made._arrays = {n: array for n, array in self._arrays.items() if n != name}
        return made

    def decoded(self, names: Iterable[str]) -> Rows:
        """The same rows with the bytes in these columns as the texts that they are, as scipy reads ARFF files."""
        made = self
        for name in names:
            kind = self.arrow(name).type
            inner = kind.value_type if pa.types.is_list(kind) else kind
            if pa.types.is_binary(inner) or pa.types.is_large_binary(inner):
                made = made.with_column(name, _decoded(self._arrays[name].to_pylist()))
        return made

    def select(self, names: Sequence[str]) -> Rows:
        """The same rows with these columns only."""
        for name in names:
            if name not in self._columns:
                raise unknown("column", name, self.names, kind=NotFoundError)
        made = self._copy()
        made._columns = {n: self._columns[n] for n in names}
        return made

    def take(self, ids: Sequence[int] | NDArray[np.int64]) -> Rows:
        """The rows with these ids, in this order.

        Raises:
            KeyError: an id that none of these rows has.
        """
        wanted = np.asarray(ids, dtype=np.int64)
        order = np.argsort(self.ids, kind="stable")
        places = np.searchsorted(self.ids, wanted, sorter=order)
        if len(wanted) and (not len(order) or places.max() >= len(order) or (self.ids[order[places]] != wanted).any()):
            raise KeyError("row id")
        places = order[places] if len(wanted) else wanted
        made = self._copy()
        made._positions = places if self._positions is None else self._positions[places]
        made.ids = wanted
        made.index = None if self.index is None else self.index[places]
        return made

    def to_frame(self) -> Any:
        """A pandas DataFrame of all columns."""
        return pa.table({n: self.arrow(n) for n in self.names}).to_pandas()

    def _copy(self) -> Rows:
        made = Rows.__new__(Rows)
        made.__dict__.update(self.__dict__)
        return made


def from_records(records: Sequence[Mapping[Any, Any]], **about: Any) -> Rows:
    """Rows of a list of dicts; a key that a record lacks is missing there.

    >>> from_records([{"text": "a"}, {"text": "b", "label": 1}]).column("label")
    [None, 1]
    """
    names = list(dict.fromkeys(key for record in records for key in record))
    columns = {str(n): [record.get(n) for record in records] for n in names}
    return Rows(columns, length=len(records), **about)


def from_arrow(table: pa.Table, **about: Any) -> Rows:
    """Rows of an Arrow table; integers that ``datasets`` knows as class labels become their names."""
    names = unique_names(table.column_names)
    features = _features(table.schema.metadata)
    columns = {}
    for name, original, column in zip(names, table.column_names, table.columns, strict=True):
        columns[name] = _named(column, features.get(original))
    return Rows(columns, length=table.num_rows, **about)


def unique_names(names: Iterable[Any]) -> list[str]:
    """Column names as text, trimmed, none empty and none twice.

    >>> unique_names(["text ", "", "text", 3])
    ['text', 'Unnamed: 1', 'text_2', '3']
    """
    made: list[str] = []
    for position, name in enumerate(names):
        text = ".".join(str(n) for n in name if n != "") if isinstance(name, tuple) else str(name)
        text = base = text.strip().removeprefix("\ufeff") or f"Unnamed: {position}"
        count = 1
        while text in made:
            count += 1
            text = f"{base}_{count}"
        made.append(text)
    return made


def canonical(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array of one of few types, so that the same content is the same bytes wherever it came from.

    Text is large_string, whole numbers int64, others float64 with NaN as missing, times timestamp[us], what is
    finer cut off; whole numbers with a gap, which pandas keeps as floats, are whole numbers again. Lists and structs
    stay as they are.
    """
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        raise pa.ArrowTypeError(f"{kind} has no plain values")
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
        kind = kind.value_type
    target = _target(kind)
    if target is not None and target != kind:
        array = _cast(array, target)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0) if array.num_chunks else pa.array([], type=array.type)
    return _whole(array) if pa.types.is_float64(array.type) else array


def _cast(array: pa.Array | pa.ChunkedArray, target: pa.DataType) -> pa.Array | pa.ChunkedArray:
    if pa.types.is_timestamp(array.type):
        return pc.cast(array, options=pc.CastOptions(target, allow_time_truncate=True))
    try:
        return array.cast(target)
    except pa.ArrowInvalid:
        if not pa.types.is_integer(array.type):
            raise
        return array.cast(pa.float64(), safe=False)  # beyond 64 bits with a sign: the nearest number


def _target(kind: pa.DataType) -> pa.DataType | None:
    types = pa.types
    if types.is_string(kind) or types.is_null(kind) or types.is_string_view(kind):
        return pa.large_string()
    if types.is_integer(kind):
        return pa.int64()
    if types.is_floating(kind) or types.is_decimal(kind):
        return pa.float64()
    if types.is_date(kind) or types.is_timestamp(kind):
        return pa.timestamp("us", tz=getattr(kind, "tz", None))
    if types.is_binary(kind):
        return pa.large_binary()
    return None


def _whole(array: pa.Array) -> pa.Array:
    gaps = pc.is_null(array, nan_is_null=True)
    array = pc.if_else(gaps, pa.scalar(None, pa.float64()), array)
    known = array.drop_null().to_numpy(zero_copy_only=False)
    if array.null_count and len(known) and (np.abs(known) < 2**53).all() and (known == np.floor(known)).all():
        return array.cast(pa.int64())
    return array


def _array(values: Any, name: str) -> tuple[pa.Array, int | None]:
    """The canonical array of a column, and the first row of another kind where text and numbers were mixed."""
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        if isinstance(values.type, pa.BaseExtensionType):
            values = values.cast(values.type.storage_type)
        return canonical(values), None
    cells: Any = values
    for prepare in (None, _missing_as_none, _mended):
        try:
            cells = cells if prepare is None else [prepare(cell) for cell in cells]
            return canonical(pa.array(cells, from_pandas=True)), None
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeError):
            continue
    if all(cell is None or _is_listed(cell) for cell in cells):
        return _lists(cells)
    odd = first = None
    for row, cell in enumerate(cells):
        if cell is None:
            continue
        if not _is_plain(cell):
            kind = type(cell)
            other = next((i for i, c in enumerate(cells) if c is not None and not isinstance(c, kind)), None)
            if other is None or other < row:
                raise DataError("data.cells", column=name, row=row, kind=kind.__name__)
            values = {"kind": kind.__name__, "other": other, "other_kind": type(cells[other]).__name__}
            raise DataError("data.cells_differ", column=name, row=row, **values)
        first = isinstance(cell, str) if first is None else first
        if odd is None and isinstance(cell, str) != first:
            odd = row
    return pa.array([None if c is None else _text(c) for c in cells], pa.large_string()), odd


def _is_plain(cell: Any) -> bool:
    """Whether a cell is one value that reads well as text."""
    return isinstance(cell, (str, bool, int, float, np.generic)) or type(cell).__name__ in _PRINTED


def _is_listed(cell: Any) -> bool:
    """Whether a cell is a list of such values, text and numbers mixed."""
    return isinstance(cell, (list, tuple)) and all(c is None or _is_plain(c) for c in cell)


def _lists(cells: Sequence[Any]) -> tuple[pa.Array, int | None]:
    """Lists of text, and the first row with a value of another kind than the first one."""
    lists = [None if cell is None else [None if c is None else _text(c) for c in cell] for cell in cells]
    kinds = [(row, isinstance(c, str)) for row, cell in enumerate(cells) for c in cell or () if c is not None]
    odd = next((row for row, kind in kinds if kind != kinds[0][1]), None)
    return pa.array(lists, pa.list_(pa.large_string())), odd


def _missing_as_none(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return None if math.isnan(value) else value
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def _mended(value: Any) -> Any:
    """Halves of a character, as truncated emoji leave them, can't be stored: each becomes the replacement sign."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(part) for part in value]
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _features(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    """What ``datasets`` wrote about the columns into the schema, where it did."""
    import json

    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _named(column: pa.ChunkedArray, feature: Any) -> pa.ChunkedArray | pa.Array:
    """Replace class numbers by class names, also inside lists (``ner_tags``)."""
    if not isinstance(feature, dict):
        return column
    kind = column.type
    if feature.get("_type") == "ClassLabel" and pa.types.is_integer(kind) and feature.get("names"):
        names = pa.array(feature["names"], pa.large_string())
        # datasets writes -1 where a label is unknown.
        known = pc.if_else(pc.less(column, pa.scalar(0, kind)), pa.scalar(None, kind), column)
        return pc.take(names, known)
    inner = feature.get("feature")
    if isinstance(inner, dict) and inner.get("_type") == "ClassLabel" and pa.types.is_list(kind):
        array = column.combine_chunks()
        if isinstance(array, pa.ChunkedArray) or array.null_count or not pa.types.is_integer(kind.value_type):
            return column
        names = pa.array(inner["names"], pa.large_string())
        start, stop = array.offsets[0].as_py(), array.offsets[-1].as_py()
        values = pc.take(names, array.values.slice(start, stop - start))
        return pa.ListArray.from_arrays(pc.subtract(array.offsets, array.offsets[0]), values)
    return column
