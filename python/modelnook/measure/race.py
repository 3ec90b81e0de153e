"""Model folders timed side by side: ``python -m modelnook.measure.race PATH … --rows FILE --out FOLDER``.

``FILE`` holds the rows, ``FOLDER`` gets ``race.json``: a speed for each path, in their order. Measured one after
another, what was measured while the machine was busy looks slow; here each is loaded and they take turns.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelnook.measure.outputs import read_rows
from modelnook.measure.probe import arguments, command, ended, within_room
from modelnook.measure.speed import Speed, in_turns
from modelnook.runtime import runtime

__all__ = ["main", "race", "race_args", "read_race"]

SECONDS = 4.0
"""For each model."""

TOGETHER = 2_000_000_000
"""Bytes of models that are loaded at a time."""


def race(
    paths: Sequence[Path],
    rows: Sequence[Any],
    *,
    task: str | None = None,
    device: str = "cpu",
    seconds: float = SECONDS,
) -> list[Speed]:
    """Load all, and time them in turns; in this process.

    Args:
        device: see :func:`modelnook.measure.probe.measure`.
        seconds: for each of them.

    Raises:
        NotFoundError, UnsupportedError: a folder that can't be loaded.
    """
    models = [runtime(path, task=task, device=device) for path in paths]
    found = in_turns(models, rows, seconds=seconds * len(models))
    for model in models:
        model.close()
    return found


def race_args(
    paths: Sequence[Path],
    rows: Path,
    out: Path,
    *,
    task: str | None = None,
    device: str = "cpu",
    seconds: float = SECONDS,
) -> list[str]:
    """The program's arguments, to be put after ``python -m``."""
    return command("race", paths, rows, out, task=task, device=device, seconds=seconds)


def read_race(out: Path, code: int = 0) -> list[Speed]:
    """What the program left in ``out``; ``code`` is its exit code.

    Raises:
        UnsupportedError: it failed, was killed or stopped.
    """
    try:
        return [Speed(**said) for said in json.loads((out / "race.json").read_text(encoding="utf-8"))]
    except (OSError, ValueError):
        raise ended(code) from None


def main(argv: Sequence[str] | None = None) -> int:
    """The program."""
    parser = arguments("race", SECONDS)
    parser.add_argument("paths", type=Path, nargs="+")
    said = parser.parse_args(argv)
    return within_room(said.out, lambda: _raced(said))


def _raced(said: argparse.Namespace) -> int:
    found = race(said.paths, read_rows(said.rows), task=said.task, device=said.device, seconds=said.seconds)
    (said.out / "race.json").write_text(json.dumps([asdict(one) for one in found]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
