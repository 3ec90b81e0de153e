"""What ``predict`` gives, kept in a file."""

from __future__ import annotations

import json
import os
from datetime import date, time
from pathlib import Path
from typing import Any

from modelnook.data.files import is_url, redacted
from modelnook.domain.errors import ConflictError, StoreError, UsageError
from modelnook.domain.table import jsonable
from modelnook.store.files import put_if_absent, refuse_overlong, write_bytes

__all__ = ["check", "write"]

_ENDINGS = (".csv", ".jsonl")


def check(output: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Refuse a file before a model is loaded for it.

    Raises:
        UsageError: another ending, an address, a folder, or a path that is too long.
        ConflictError: it is there and ``overwrite`` wasn't said.
        StoreError: nobody can write there.
    """
    said, path = os.fspath(output), _place(output)
    if is_url(said):
        raise UsageError("api.output_address", path=redacted(said))
    if path.suffix.lower() not in _ENDINGS:
        raise UsageError("api.output_ending", path=said)
    refuse_overlong(path.absolute())
    # Of what lies in a folder that is closed to this person Path would raise.
    if os.path.isdir(path):
        raise UsageError("api.output_folder", path=said, file=os.path.join(said, f"answers{path.suffix}"))
    if not overwrite and os.path.exists(path):
        raise ConflictError("api.output_there", path=said)
    above = next(folder for folder in path.parents if os.path.exists(folder))
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise StoreError("api.output_unwritable", path=said)


def write(answers: Any, output: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Write answers with their inputs, whole or not at all; a dict or list is JSON in a cell of a table.

    Raises:
        ConflictError: somebody wrote the file meanwhile.
        StoreError: the disk refuses.
    """
    path, frame = _place(output), answers.with_inputs()
    if path.suffix.lower() == ".csv":
        text: str = frame.apply(lambda column: column.map(_cell)).to_csv(index=False)
    else:
        rows = (dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False, name=None))
        text = "".join(_json(row) + "\n" for row in rows)
    try:
        if overwrite:
            # Whoever could read the file before can read it after.
            write_bytes(path, text.encode(), mode=path.stat().st_mode & 0o777 if path.exists() else 0o666)
        elif not put_if_absent(path, text.encode()):
            raise ConflictError("api.output_there", path=os.fspath(output))
    except (OSError, StoreError) as error:
        if isinstance(error, StoreError) and error.code == "store.disk_full":
            raise
        raise StoreError("api.output_unwritable", path=os.fspath(output)) from error


def _place(output: str | os.PathLike[str]) -> Path:
    """Where it is: what is behind a link is written, the link stays."""
    try:
        return Path(output).expanduser().resolve()
    except (RuntimeError, ValueError) as error:
        # A person's home that isn't there, or a name that can't be one.
        raise StoreError("api.output_unwritable", path=os.fspath(output)) from error


def _cell(value: Any) -> Any:
    return _json(value) if isinstance(value, dict | list | tuple) or getattr(value, "ndim", None) else value


def _json(value: Any) -> str:
    return json.dumps(jsonable(value), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    """Numbers and vectors of NumPy as Python's own, times as ISO 8601 says them; None for a time that isn't known."""
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if type(value).__name__ == "NaTType":
        return None
    return value.isoformat() if isinstance(value, (date, time)) else str(value)
