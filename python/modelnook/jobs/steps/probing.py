"""Measuring model folders in a clean process, as part of a step: each where it runs, on the job's device if it can."""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelnook.jobs import process
from modelnook.jobs.steps.context import Context
from modelnook.store.files import disk_errors

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
    from modelnook.measure.probe import SECONDS, probe_args, read_probe

    def probe(path: Path, rows: list[Any]) -> Any:
        within = SECONDS if seconds is None else seconds
        with _given(context, f"-{place}" if place else "", rows) as (file, out):
            task, device = context.recipe.task, context.device()
            arguments = probe_args(path, file, out, task=task, device=device, seconds=within)
            return read_probe(out, _run(context, arguments, stop))

    return probe


def racer(context: Context) -> Callable[[list[Path], list[Any]], Any]:
    """Times several model folders in turns, in a process of their own."""
    from modelnook.measure.race import race_args, read_race

    def race(paths: list[Path], rows: list[Any]) -> Any:
        with _given(context, "-race", rows) as (file, out):
            task, device = context.recipe.task, context.device()
            return read_race(out, _run(context, race_args(paths, file, out, task=task, device=device)))

    return race


@contextmanager
def _given(context: Context, name: str, rows: list[Any]) -> Iterator[tuple[Path, Path]]:
    """``(a file with the rows, a folder for the answer)``, gone at the end.

    All of these are called ``probe…``: by that name is cleared away what a killed job has left of them.
    """
    from modelnook.measure.outputs import write_rows

    work = context.run.path / f"probe{name}"
    shutil.rmtree(work, ignore_errors=True)
    with disk_errors(work):
        work.mkdir(mode=0o700)
    try:
        with disk_errors(work):
            write_rows(work / "rows.json", rows)
        yield work / "rows.json", work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(context: Context, arguments: list[str], stop: Callable[[], bool] | None = None) -> int:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        # What this process keeps of a GPU's memory for later, the other one needs now.
        gc.collect()
        torch.cuda.empty_cache()
    return process.call(arguments, context.store, context.run.log, stop=stop or context.stop)
