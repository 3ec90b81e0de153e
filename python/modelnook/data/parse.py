"""The formats: bytes in, rows out. Text formats are UTF-8 by now."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from typing import Any

from modelnook.data import frame
from modelnook.data.frame import Rows
from modelnook.domain.errors import DataError, MissingPackage
from modelnook.messages import t

__all__ = ["binary_rows", "csv_rows", "json_rows", "pick_part", "xlsx_rows"]

_SINGLE = "\x01"  # a delimiter that no text has: a file of one column may hold commas
_ORDER = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "eval"),
    "test": ("test", "testing", "validation", "valid", "val", "dev"),
}


def pick_part(names: list[str], part: str, shown: str) -> str:
    """Which of several splits is meant: the only one, or ``train`` for training and ``test`` for evaluating.

    >>> pick_part(["test", "train", "validation"], "train", "x")
    'train'
    """
    if len(names) == 1:
        return names[0]
    for name in _ORDER.get(part, (part,)):
        if name in names:
            return name
    raise DataError("data.parts", data=shown or t("data.a_table"), known=", ".join(names), name=names[0])


def csv_rows(blob: bytes, shown: str, *, tabs: bool, **about: Any) -> Rows:
    """Rows of delimited text with a header line; the delimiter is the one that the header has most of.

    Raises:
        DataError: rows of uneven width; names the row.
    """
    import pyarrow as pa

    header = next((line for line in io.BytesIO(blob[: 1 << 16]) if line.strip()), b"")
    delimiter = _delimiter(header.decode("utf-8", "replace"), tabs)
    try:
        table = _csv(blob, delimiter, quoted=True)
        if delimiter == "\t" and b'"' in blob:
            table = _or_unquoted(blob, table)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        if delimiter != "\t":
            raise DataError("data.csv", path=shown, error=_reason(blob, delimiter, error)) from error
        try:
            table = _csv(blob, delimiter, quoted=False)
        except pa.ArrowInvalid:
            raise DataError("data.csv", path=shown, error=_reason(blob, delimiter, error)) from error
    # A text that is empty is missing, as it is for pandas; the names stay text ("NA", "null", "None" are labels too).
    columns = {}
    for name, column in zip(frame.unique_names(table.column_names), table.columns, strict=True):
        columns[name] = _blank_is_missing(column)
    return Rows(columns, length=table.num_rows, **about)


def _delimiter(header: str, tabs: bool) -> str:
    plain = re.sub(r'"[^"]*"', "", header)
    counts = {d: plain.count(d) for d in (("\t", ",", ";", "|") if tabs else (",", ";", "\t", "|"))}
    best = max(counts, key=counts.__getitem__)  # the first of equals
    return best if counts[best] else _SINGLE


def _csv(blob: bytes, delimiter: str, *, quoted: bool, threads: bool = True) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    parse = csv.ParseOptions(
        delimiter=delimiter, quote_char='"' if quoted else False, newlines_in_values=quoted, ignore_empty_lines=True
    )
    # A missing number may be written in many ways; text is never taken for a missing value.
    convert = csv.ConvertOptions(strings_can_be_null=False)
    size = 4 << 20
    while True:
        read = csv.ReadOptions(use_threads=threads, block_size=size)
        try:
            return csv.read_csv(pa.BufferReader(blob), read, parse, convert)
        except pa.ArrowInvalid as error:
            if "straddling" not in str(error) or size > len(blob):
                raise
            size = min(len(blob) + 1, (1 << 31) - 1)  # one text is longer than a block


def _or_unquoted(blob: bytes, table: Any) -> Any:
    """Tab-separated text often holds quotes that quote nothing: where they swallowed line ends, read it without.

    A text that really spans lines makes the unquoted reading ragged, so only one of both readings can be regular.
    """
    import pyarrow as pa

    try:
        plain = _csv(blob, "\t", quoted=False)
    except pa.ArrowInvalid:
        return table
    return plain if plain.num_rows > table.num_rows else table


def _reason(blob: bytes, delimiter: str, error: Exception) -> str:
    import pyarrow as pa

    try:
        _csv(blob, delimiter, quoted=True, threads=False)  # one thread: only then is the row counted
    except pa.ArrowInvalid as counted:
        found = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", str(counted))
        if found:
            row, expected, got = found.groups()
            return t("data.ragged", row=row, expected=expected, got=got)
    return str(error).split("\n")[0][:200]


def _blank_is_missing(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(column.type):
        return column
    blank = pc.equal(column, pa.scalar("", column.type))
    return pc.if_else(blank, pa.scalar(None, column.type), column) if pc.any(blank).as_py() else column


def json_rows(blob: bytes, shown: str, part: str = "train", **about: Any) -> Rows:
    """Rows of a list of objects, an object of lists, one object a line, or an object of splits of those.

    Raises:
        DataError: not JSON (names the line), or JSON of another shape.
    """
    start = blob[:4096].lstrip()[:1]
    if not start:
        raise DataError("data.empty", data=shown)
    if start == b"[":
        return _shape(_decode(blob, shown), shown, part, **about)
    fast = _json_lines(blob)
    if fast is not None:
        return frame.from_arrow(fast, **about)
    try:
        return _shape(json.loads(blob), shown, part, **about)
    except ValueError:
        records = [_decode(line, shown, n) for n, line in enumerate(blob.split(b"\n"), 1) if line.strip()]
        return _shape(records, shown, part, **about)


def _json_lines(blob: bytes) -> Any:
    """An Arrow table where every line is one flat enough object of the same kinds, else None."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    line = blob[: 1 << 20].split(b"\n", 1)[0].strip()
    if not (line.startswith(b"{") and line.endswith(b"}")):
        return None
    try:
        read = arrow_json.ReadOptions(block_size=min(max(len(blob) // 4, 16 << 20), (1 << 31) - 1))
        table = arrow_json.read_json(pa.BufferReader(blob), read)
        # Arrow takes texts that look like dates for dates; JSON has none.
        schema = pa.schema([field.with_type(_undated(field.type)) for field in table.schema])
        if schema != table.schema:
            parse = arrow_json.ParseOptions(explicit_schema=schema)
            table = arrow_json.read_json(pa.BufferReader(blob), read, parse)
        return table if table.num_rows > 1 else None  # one line may be an object of lists
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None  # mixed kinds, or one object over several lines: Python's reader tells them apart


def _undated(kind: Any) -> Any:
    """An Arrow type with text where it has dates, however deep."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_undated(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_undated(field.type)) for field in kind])
    return kind


def _decode(blob: bytes, shown: str, line: int | None = None) -> Any:
    try:
        return json.loads(blob)
    except ValueError as error:
        where = line if line is not None else getattr(error, "lineno", "?")
        raise DataError("data.json", path=shown, line=where, error=getattr(error, "msg", error)) from error


def _shape(value: Any, shown: str, part: str, **about: Any) -> Rows:
    if isinstance(value, list):
        if not value:
            raise DataError("data.empty", data=shown)
        odd = next((i for i, r in enumerate(value) if not isinstance(r, dict)), None)
        if odd is None:
            return frame.from_records(value, **about)
        raise DataError("data.record", data=shown, row=odd, kind=type(value[odd]).__name__)
    if isinstance(value, dict) and value:
        inside = list(value.values())
        if not any(isinstance(v, (list, dict)) for v in inside):
            return frame.from_records([value], **about)
        if all(isinstance(v, list) for v in inside):
            if all(v and isinstance(v[0], dict) for v in inside):  # splits, or one list under a name like "data"
                return _shape(value[pick_part(list(value), part, shown)], shown, part, **about)
            if len({len(v) for v in inside}) == 1:
                return Rows(value, **about)
        elif all(isinstance(v, dict) for v in inside) and len({tuple(v) for v in inside}) == 1:
            # pandas' to_json: column -> row number -> value.
            return Rows({k: list(v.values()) for k, v in value.items()}, **about)
        else:
            lists = [v for v in inside if isinstance(v, list) and v and isinstance(v[0], dict)]
            if len(lists) == 1:
                return _shape(lists[0], shown, part, **about)
    raise DataError("data.json_shape", path=shown)


def xlsx_rows(blob: bytes, shown: str, **about: Any) -> Rows:
    """Rows of the first sheet that holds any; the first row is the header.

    Raises:
        MissingPackage: openpyxl isn't installed.
        DataError: not a workbook, or no sheet with rows.
    """
    try:
        import openpyxl
    except ModuleNotFoundError:
        raise MissingPackage(
            "core.missing_package", family=t("what.file"), name=shown, package="openpyxl", extra="data"
        ) from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(blob), read_only=True, data_only=True)
        for sheet in book.worksheets:
            cells = [row for row in sheet.iter_rows(values_only=True) if any(v is not None for v in row)]
            if len(cells) > 1:
                return _sheet(cells, **about)
    except DataError:
        raise
    except Exception as error:  # a damaged workbook fails in as many ways as it has parts
        raise DataError("data.unreadable", path=shown, error=str(error)[:200]) from error
    raise DataError("data.empty", data=shown)


def _sheet(cells: list[tuple[Any, ...]], **about: Any) -> Rows:
    width = max((i + 1 for row in cells for i, v in enumerate(row) if v is not None), default=0)
    names = frame.unique_names("" if v is None else v for v in (*cells[0], *[None] * width)[:width])
    body = cells[1:]
    columns: Mapping[str, list[Any]] = {
        name: [row[i] if i < len(row) else None for row in body] for i, name in enumerate(names)
    }
    return Rows(columns, length=len(body), **about)


def binary_rows(blob: bytes, kind: str, shown: str, **about: Any) -> Rows:
    """Rows of parquet or of Arrow IPC (a file, or a stream as ``datasets`` writes them)."""
    import pyarrow as pa

    source = pa.BufferReader(blob)
    try:
        if kind == "parquet":
            from pyarrow import parquet

            return frame.from_arrow(parquet.read_table(source), **about)
        opened = pa.ipc.open_file(source) if blob.startswith(b"ARROW1") else pa.ipc.open_stream(source)
        return frame.from_arrow(opened.read_all(), **about)
    except (pa.ArrowException, OSError) as error:
        raise DataError("data.unreadable", path=shown, error=str(error).split("\n")[0][:200]) from error
