"""Images and sounds in a table: however a cell gives one, it is kept as the bytes of a file.

A cell may be those bytes, a path, the ``{"bytes": …, "path": …}`` of ``datasets``, an image of PIL, an array of
pixels, or ``{"array": …, "sampling_rate": …}`` for a sound. Bytes are kept as they came; the rest is written without
loss.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelnook.data import images, sounds
from modelnook.data.files import looks_like_file, redacted
from modelnook.domain.dataset import Columns
from modelnook.domain.errors import DataError

if TYPE_CHECKING:
    from modelnook.data.frame import Rows

__all__ = ["MEDIA_ROLES", "blobs", "encoded", "listed"]


@dataclass(frozen=True, slots=True)
class _Kind:
    """``write`` turns what isn't a file into one, ``problem`` says why a file can't be read (None: it can)."""

    write: Callable[[Any], bytes]
    problem: Callable[[bytes], str | None]
    dimensions: int


MEDIA_ROLES = {
    "image": _Kind(images.write, images.problem, 2),
    "audio": _Kind(sounds.write, sounds.problem, 1),
}
"""The roles whose cells are files, with what reads and writes them."""

_FIELDS = frozenset(("bytes", "path", "array", "sampling_rate"))


def encoded(rows: Rows, columns: Columns) -> Rows:
    """The rows with their columns of images and sounds as bytes, and bytes in other columns as texts.

    Raises:
        DataError: a cell that is none, a file that isn't there or can't be read; the row is named.
        MissingPackage: what reads them isn't installed.
    """
    import pyarrow as pa

    rows = rows.decoded(name for role, name in columns.roles if role not in MEDIA_ROLES)
    for role, name in columns.roles:
        if role in MEDIA_ROLES:
            found = blobs(_cells(rows.raw(name)), role, name)
            rows = rows.with_column(name, pa.array(found, pa.large_binary()))
    return rows


def blobs(cells: Sequence[Any], role: str, column: str) -> list[bytes | None]:
    """Each cell's file; None where it is missing. Raises as :func:`encoded` does."""
    kind = MEDIA_ROLES[role]
    return [_blob(cell, kind, role, column, row) for row, cell in enumerate(cells)]


def listed(data: Any, role: str) -> list[Any] | None:
    """The cells of what ``predict`` is given: of one image or sound, or of a list of them; None for a table.

    >>> listed("cat.png", "image"), listed([b"..", None], "image"), listed("cats.csv", "image")
    (['cat.png'], [b'..', None], None)
    """
    if _is_cell(data, role):
        return [data]
    if type(data).__module__.partition(".")[0] in ("pandas", "datasets", "pyarrow") or isinstance(data, (str, Mapping)):
        return None
    if not hasattr(data, "__iter__"):
        return None
    cells = list(data)
    return cells if all(cell is None or _is_cell(cell, role) for cell in cells) else None


def _is_cell(value: Any, role: str) -> bool:
    if isinstance(value, (str, os.PathLike)):
        return not looks_like_file(os.fspath(value)) and not os.fspath(value).startswith("hub:")
    if isinstance(value, Mapping):
        return bool(value) and set(value) <= _FIELDS
    if isinstance(value, (bytes, bytearray, memoryview)):
        return True
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "ndim"):
        wanted = MEDIA_ROLES[role].dimensions
        coloured = role == "image" and value.ndim == 3 and value.shape[-1] in (3, 4)
        return bool(value.ndim == wanted or coloured)
    if isinstance(value, (list, tuple)):
        return role == "image" and len(value) > 0 and all(isinstance(line, (list, tuple)) for line in value)
    return role == "image" and images.is_image(value)


def _cells(values: Any) -> list[Any]:
    import pyarrow as pa

    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        if isinstance(values.type, pa.BaseExtensionType):
            values = values.cast(values.type.storage_type)
        found: list[Any] = values.to_pylist()
        return found
    return list(values)


def _blob(cell: Any, kind: _Kind, role: str, column: str, row: int) -> bytes | None:
    if cell is None or (isinstance(cell, float) and cell != cell) or type(cell).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(cell, Mapping) and (cell.get("bytes") is not None or ("path" in cell and cell.get("array") is None)):
        cell = cell["bytes"] if cell.get("bytes") is not None else cell["path"]
    if cell is None:
        return None
    if isinstance(cell, (str, os.PathLike)):
        cell = _read(os.fspath(cell), column, row)
    try:
        blob = bytes(cell) if isinstance(cell, (bytes, bytearray, memoryview)) else kind.write(cell)
    except (TypeError, ValueError) as error:
        raise _bad(role, column, row, error) from None
    wrong = kind.problem(blob)
    if wrong is not None:
        raise _bad(role, column, row, wrong)
    return blob


def _bad(role: str, column: str, row: int, error: object) -> DataError:
    said = str(error).split("\n")[0][:120].rstrip(".")
    if role == "image":
        return DataError("data.not_image", column=column, row=row, error=said)
    return DataError("data.not_audio", column=column, row=row, error=said)


def _read(path: str, column: str, row: int) -> bytes:
    try:
        return Path(os.path.expanduser(path)).read_bytes()
    except (OSError, ValueError):
        raise DataError("data.no_media_file", column=column, row=row, path=redacted(path)[:200]) from None
