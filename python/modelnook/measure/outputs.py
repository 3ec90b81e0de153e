"""Rows and a model's outputs as files between two processes: JSON and NumPy, nothing that could run code."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["finite", "read_outputs", "read_rows", "write_outputs", "write_rows"]

BYTES = "__bytes__"


def write_rows(path: Path, rows: Sequence[Any]) -> None:
    """Rows as a runtime takes them; bytes (an image, a sound) as base64."""
    path.write_text(json.dumps(list(rows), ensure_ascii=False, default=_plain), encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return {BYTES: base64.b64encode(value).decode()}
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(type(value).__name__)


def read_rows(path: Path) -> list[Any]:
    """What :func:`write_rows` wrote."""

    def back(found: dict[str, Any]) -> Any:
        return base64.b64decode(found[BYTES]) if set(found) == {BYTES} else found

    rows: list[Any] = json.loads(path.read_text(encoding="utf-8"), object_hook=back)
    return rows


def write_outputs(folder: Path, outputs: Any) -> None:
    """An array, a list of arrays of one width, or a list of anything that JSON says."""
    if isinstance(outputs, np.ndarray):
        np.save(folder / "outputs.npy", outputs)
    elif outputs and all(isinstance(row, np.ndarray) for row in outputs):
        lengths = np.array([len(row) for row in outputs])
        np.savez(folder / "outputs.npz", flat=np.concatenate(outputs), lengths=lengths)
    else:
        (folder / "outputs.json").write_text(json.dumps(outputs, ensure_ascii=False, default=_plain), encoding="utf-8")


def read_outputs(folder: Path) -> Any:
    """What :func:`write_outputs` wrote."""
    if (folder / "outputs.npy").exists():
        return np.load(folder / "outputs.npy", allow_pickle=False)
    if (folder / "outputs.npz").exists():
        with np.load(folder / "outputs.npz", allow_pickle=False) as found:
            return np.split(found["flat"], np.cumsum(found["lengths"])[:-1])
    return json.loads((folder / "outputs.json").read_text(encoding="utf-8"))


def finite(outputs: Any) -> bool:
    """Whether all that is a number among the outputs is one that can be computed with."""
    if isinstance(outputs, np.ndarray):
        return bool(np.isfinite(outputs).all()) if outputs.dtype.kind == "f" else True
    return all(finite(row) for row in outputs if isinstance(row, np.ndarray))
