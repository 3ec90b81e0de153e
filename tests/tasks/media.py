"""What the tests of images and sounds share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.standins.scripts import output_of

__all__ = ["digits", "records", "scripted"]


def records(rows: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Columns as a list of rows."""
    return [dict(zip(rows, cells, strict=True)) for cells in zip(*rows.values(), strict=True)]


def scripted(text: str, folder: Path) -> dict[str, float]:
    """The metrics that a run's script prints, run by itself."""
    said = output_of(text, folder).splitlines()
    found: dict[str, float] = json.loads(next(line for line in reversed(said) if line.startswith("{")))
    return found


def digits(shared: Path) -> list[dict[str, Any]]:
    """The 300 spoken digits: audio (a path), digit and text (its word)."""
    words = "zero one two three four five six seven eight nine".split()
    files = sorted((shared / "fsdd" / "recordings").glob("*.wav"))
    return [{"audio": str(f), "digit": f.name[0], "text": words[int(f.name[0])]} for f in files]
