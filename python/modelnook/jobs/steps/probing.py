"""Measuring model folders in a clean process, as part of a step."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelnook.jobs import process
from modelnook.jobs.steps.context import Context

__all__ = ["prober", "racer"]


def prober(
    context: Context, seconds: float | None = None, stop: Callable[[], bool] | None = None, place: int = 0
) -> Callable[..., Any]:
    """Measures a model folder in a process of its own: its memory is its own, its caches are cold.

    Args:
        seconds: for which its speed is measured.
        stop: ends it; the job's own without it.
        place: the number of this process among those that measure for the same run.
    """
    from modelnook.measure.outputs import write_rows
    from modelnook.measure.probe import SECONDS, probe_args, read_probe

    def probe(path: Path, rows: list[Any]) -> Any:
        work = context.run.path / (f"probe-{place}" if place else "probe")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        write_rows(work / "rows.json", rows)
        arguments = probe_args(
            path, work / "rows.json", work, task=context.recipe.task, seconds=SECONDS if seconds is None else seconds
        )
        code = process.call(arguments, context.store, context.run.log, stop=stop or context.stop)
        try:
            return read_probe(work, code)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    return probe


def racer(context: Context) -> Callable[[list[Path], list[Any]], Any]:
    """Times several model folders in turns, in a process of their own."""
    from modelnook.measure.outputs import write_rows
    from modelnook.measure.race import race_args, read_race

    def race(paths: list[Path], rows: list[Any]) -> Any:
        work = context.run.path / "race"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        write_rows(work / "rows.json", rows)
        arguments = race_args(paths, work / "rows.json", work, task=context.recipe.task)
        code = process.call(arguments, context.store, context.run.log, stop=context.stop)
        try:
            return read_race(work, code)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    return race
