"""What the tests of images and sounds share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["digits", "records", "scripted"]


def records(rows: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Columns as a list of rows."""
    return [dict(zip(rows, cells, strict=True)) for cells in zip(*rows.values(), strict=True)]


def scripted(text: str, folder: Path) -> dict[str, float]:
    """The metrics that a run's script prints, run by itself."""
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=folder, capture_output=True, text=True, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, float] = json.loads(next(x for x in reversed(done.stdout.splitlines()) if x.startswith("{")))
    return found


def digits(shared: Path) -> list[dict[str, Any]]:
    """The 300 spoken digits: audio (a path), digit and text (its word)."""
    words = "zero one two three four five six seven eight nine".split()
    files = sorted((shared / "fsdd" / "recordings").glob("*.wav"))
    return [{"audio": str(f), "digit": f.name[0], "text": words[int(f.name[0])]} for f in files]
