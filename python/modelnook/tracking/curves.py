"""``python -m modelnook.tracking.curves RUN FOLDER``: a W&B run's curves, written as a run's own series."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelnook.store.series import Series
from modelnook.tracking.wandb_server import Server, quieten

__all__ = ["main", "write"]

_WAIT = 15
_SAMPLES = 2000
_WHOLE = 20_000
"""A longer history is sampled by the server."""


def write(rows: Iterable[dict[str, Any]], series: Series) -> None:
    """Rows of W&B's history, a number a curve; seconds are counted as the run's own do."""
    for number, row in enumerate(rows):
        values = {k: float(v) for k, v in row.items() if not k.startswith("_") and _number(v)}
        step, seconds = row.get("_step", number), row.get("_runtime", 0.0)
        series.append(int(step), float(seconds or 0.0), values)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _rows(path: str) -> Iterable[dict[str, Any]]:
    import wandb

    run: Any = wandb.Api(timeout=_WAIT).run(path)
    if run.historyLineCount > _WHOLE:
        sampled: list[dict[str, Any]] = run.history(samples=_SAMPLES, pandas=False)
        return sampled
    rows: Iterable[dict[str, Any]] = run.scan_history()
    return rows


def main(arguments: list[str] | None = None) -> int:
    """The helper's program; 1 where W&B doesn't answer, 2 where there is no key; the last line it prints says why."""
    parser = argparse.ArgumentParser(prog="modelnook.tracking.curves")
    parser.add_argument("run", help="ENTITY/PROJECT/RUN; the entity is optional")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    quieten()
    server = Server.current()
    if not server.logged_in:
        print(f"no W&B API key for {server.host}", file=sys.stderr)
        return 2
    try:
        write(_rows(options.run), Series(options.folder))
    except Exception as error:
        print(" ".join(f"{type(error).__name__}: {error}".split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
