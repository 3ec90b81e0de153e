"""A snapshot: the used columns of a table, written once and read by jobs, however the table changes afterwards.

``HOME/data/SHA256/{data.arrow, meta.json}``, readable by the person alone. The folder's name is what it holds, so the
same rows are one folder, and it appears whole (temporary name + rename) or not at all.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelnook.domain.dataset import Columns, DatasetRef, Fingerprint
from modelnook.domain.errors import DataError, NotFoundError, StoreError
from modelnook.store.files import PRIVATE_FILE, disk_errors, read_json, remove, staging, write_json

if TYPE_CHECKING:
    import pyarrow as pa

    from modelnook.data.frame import Rows

__all__ = ["TEXT_ROLES", "fingerprint", "load_snapshot", "open_snapshot", "release", "snapshot"]

ROW = "__row__"
TEXT_ROLES = tuple("text text_pair anchor positive negative source target prompt completion question context".split())


def fingerprint(rows: Rows, columns: Columns) -> Fingerprint:
    """sha256 over the used columns' content, in order; the same for a DataFrame, a csv and a list of the same rows.

    The roles count and the columns' names don't. Rows that were taken out of a larger table count as other rows than
    the same content by itself, because their ids are kept.

    >>> from modelnook.data.read import read
    >>> one = read([{"text": "a", "y": 1}, {"text": "b", "y": None}])
    >>> two = read({"body": ["a", "b"], "label": [1.0, float("nan")]})
    >>> str(fingerprint(one, Columns.of(text="text", label="y")))
    '577818f1249d'
    >>> fingerprint(one, Columns.of(text="text", label="y")) == fingerprint(two, Columns.of(text="body", label="label"))
    True
    """
    return Fingerprint(_sha256(_used(rows, columns), rows), len(rows))


def snapshot(rows: Rows, columns: Columns, home: Path) -> DatasetRef:
    """Keep the used columns under ``home`` and say how to find them again; nothing is written twice.

    Raises:
        DataError: a text column that doesn't hold text.
        StoreError: the disk is full, read-only or forbidden; nothing is left behind.
    """
    used = _used(rows, columns)
    sha256 = _sha256(used, rows)
    target = home / "data" / sha256
    if not _complete(target):
        remove(target)  # a power cut may have left a name without its content
        _write(target, used, rows)
    return DatasetRef(sha256, len(rows), columns.to_dict(), rows.name)


def open_snapshot(ref: DatasetRef, home: Path) -> Rows:
    """The rows of a snapshot, memory-mapped; its columns are called by their roles, ids are those of the table.

    Raises:
        NotFoundError: it was removed.
        StoreError: it is damaged.
    """
    import pyarrow as pa

    from modelnook.data.frame import Rows

    path = home / "data" / ref.fingerprint / "data.arrow"
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
    except FileNotFoundError:
        raise NotFoundError("data.no_snapshot", fingerprint=ref.fingerprint[:12]) from None
    except (pa.ArrowException, OSError) as error:
        raise StoreError("data.damaged", path=path) from error
    if table.num_rows != ref.rows:
        raise StoreError("data.damaged", path=path)
    rows = Rows({n: table[n] for n in table.column_names if n != ROW}, name=ref.name, length=table.num_rows)
    rows.ids = table[ROW].to_numpy()
    return rows


def load_snapshot(ref: DatasetRef, home: Path) -> dict[str, list[Any]]:
    """Role -> values of a snapshot, in the order of the rows. Raises as :func:`open_snapshot` does."""
    rows = open_snapshot(ref, home)
    return {role: rows.column(role) for role in rows.names}


def release(sha256: str, home: Path, used_by: Iterable[str] = ()) -> bool:
    """Remove a snapshot that no run uses any more; True where it was removed.

    Args:
        used_by: the runs that still need it.
    """
    target = home / "data" / sha256
    if any(True for _ in used_by) or len(sha256) != 64 or not target.is_dir():
        return False
    remove(target)
    return True


def _used(rows: Rows, columns: Columns) -> dict[str, pa.Array]:
    """Role -> array; what plays the part of a text is text."""
    import pyarrow as pa

    used = {}
    for role, name in columns.roles:
        array = rows.arrow(name)
        if role in TEXT_ROLES and not pa.types.is_large_string(array.type):
            try:
                array = array.cast(pa.large_string())
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                raise DataError("data.not_text", column=name, kind=str(array.type)) from None
        used[role] = array
    return used


def _sha256(used: dict[str, pa.Array], rows: Rows) -> str:
    import numpy as np

    digest = hashlib.sha256(b"modelnook rows 1")
    digest.update(str(len(rows)).encode())
    for role, array in used.items():
        digest.update(f"\n{role} ".encode())
        _feed(digest, array)
    if (rows.ids != np.arange(len(rows))).any():
        digest.update(b"\nids ")
        digest.update(rows.ids.astype("<i8").tobytes())
    return digest.hexdigest()


def _feed(digest: Any, array: pa.Array) -> None:
    """Hash a column's content, not its layout: offsets, chunks, and the bytes under a missing value vary."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from modelnook.data.frame import canonical

    array = canonical(array)
    kind, types = array.type, pa.types
    if array.null_count:
        digest.update(b"missing")
        digest.update(np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes())
    if types.is_large_string(kind) or types.is_large_binary(kind):
        digest.update(b"text" if types.is_large_string(kind) else b"bytes")
        array = pc.fill_null(array, b"" if types.is_large_binary(kind) else "") if array.null_count else array
        lengths = pc.binary_length(array).to_numpy(zero_copy_only=False).astype("<i8")
        digest.update(lengths.tobytes())
        offsets = np.frombuffer(array.buffers()[1] or b"\0" * 8, dtype=np.int64)[array.offset :]
        if len(array):
            content = memoryview(array.buffers()[2] or b"")
            digest.update(content[int(offsets[0]) : int(offsets[len(array)])])
    elif types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        digest.update(b"list")
        lengths = pc.fill_null(pc.list_value_length(array), 0)
        digest.update(lengths.to_numpy(zero_copy_only=False).astype("<i8").tobytes())
        _feed(digest, array.flatten())
    elif types.is_struct(kind):
        for name in sorted(field.name for field in kind):
            digest.update(f"field {name} ".encode())
            _feed(digest, pc.struct_field(array, name))
    elif types.is_boolean(kind):
        digest.update(b"bool")
        digest.update(pc.fill_null(array, False).to_numpy(zero_copy_only=False).tobytes())
    elif types.is_integer(kind) or types.is_floating(kind):
        digest.update(b"whole" if types.is_integer(kind) else b"real")
        size = "<i8" if types.is_integer(kind) else "<f8"
        digest.update(pc.fill_null(array, 0).to_numpy(zero_copy_only=False).astype(size).tobytes())
    elif types.is_timestamp(kind):
        digest.update(b"time")
        digest.update(pc.fill_null(array.cast(pa.int64()), 0).to_numpy(zero_copy_only=False).astype("<i8").tobytes())
    else:
        digest.update(str(kind).encode())
        digest.update("\n".join(map(repr, array.to_pylist())).encode())


def _complete(target: Path) -> bool:
    meta = read_json(target / "meta.json")
    try:
        return bool(meta) and (target / "data.arrow").stat().st_size == meta["bytes"]
    except (OSError, KeyError, TypeError):
        return False


def _write(target: Path, used: dict[str, pa.Array], rows: Rows) -> None:
    import pyarrow as pa

    table = pa.table({**used, ROW: pa.array(rows.ids)})
    with staging(target) as folder, disk_errors(target):
        size = _write_table(folder / "data.arrow", table)
        columns = {role: str(array.type) for role, array in used.items()}
        write_json(folder / "meta.json", {"version": 1, "rows": len(rows), "bytes": size, "columns": columns})
        try:
            os.rename(folder, target)
        except OSError:
            if not _complete(target):  # another writer was first: the content is the same
                raise


def _write_table(path: Path, table: pa.Table) -> int:
    import pyarrow as pa

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with open(descriptor, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return path.stat().st_size
