"""What ``predict`` gives, kept in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modelnook.domain.errors import ConflictError, UsageError
from modelnook.domain.table import jsonable
from modelnook.store.files import put_if_absent, write_bytes

__all__ = ["check", "write"]

_ENDINGS = (".csv", ".jsonl")


def check(output: str, *, overwrite: bool) -> None:
    """Refuse a file before a model is loaded for it.

    Raises:
        UsageError: another ending.
        ConflictError: it is there and ``overwrite`` wasn't said.
    """
    if Path(output).suffix.lower() not in _ENDINGS:
        raise UsageError("api.output_ending", path=output)
    if not overwrite and Path(output).expanduser().exists():
        raise ConflictError("api.output_there", path=output)


def write(answers: Any, output: str, *, overwrite: bool) -> None:
    """Write answers with their inputs, whole or not at all; a dict or list is JSON in a cell of a table.

    Raises:
        ConflictError: somebody wrote the file meanwhile.
        StoreError: the disk refuses.
    """
    path, frame = Path(output).expanduser(), answers.with_inputs()
    if path.suffix.lower() == ".csv":
        text: str = frame.apply(lambda column: column.map(_cell)).to_csv(index=False)
    else:
        rows = (dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False, name=None))
        text = "".join(_json(row) + "\n" for row in rows)
    if overwrite:
        write_bytes(path, text.encode())
    elif not put_if_absent(path, text.encode()):
        raise ConflictError("api.output_there", path=output)


def _cell(value: Any) -> Any:
    return _json(value) if isinstance(value, dict | list | tuple) or getattr(value, "ndim", None) else value


def _json(value: Any) -> str:
    return json.dumps(jsonable(value), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    """Numbers and vectors of NumPy as Python's own."""
    return jsonable(value.tolist()) if hasattr(value, "tolist") else str(value)
