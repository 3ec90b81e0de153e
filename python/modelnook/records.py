"""What is done with a run that is named: its script, its log, its curves, deleting it, runs side by side."""

from __future__ import annotations

from typing import Any

from modelnook.api import run_of
from modelnook.api.runs import run_for
from modelnook.domain.errors import OfflineError, UsageError
from modelnook.domain.table import Table, jsonable
from modelnook.run import Run
from modelnook.store import Store

__all__ = ["code", "compare", "delete", "history", "issues", "log", "reindex"]

SETTING = 24
"""Characters of a setting; what is longer is a sentence."""
FOUND = ("labels", "rows", "steps")
"""What the rows say, and nobody set."""


def code(run: str | Run = "last") -> str:
    """The text of a plain script that does the same as a run."""
    return run_for(run, lambda r: r.kind == "finetune").code()


def log(run: str | Run = "last") -> str:
    """The last lines that a run's worker printed."""
    from modelnook.messages import t

    handle = run_of(run)
    return handle.log() or t("faces.no_log", run=handle.id)


def history(run: str | Run = "last", *, points: int = 500) -> dict[str, Any]:
    """A run's curves, down-sampled for drawing, and how many points there are; ``note`` says why there are none."""
    try:
        series = run_of(run).series
    except OfflineError as error:
        return {"series": {}, "total": 0, "note": str(error)}
    return {"series": jsonable(series.sampled(max(3, points))), "total": series.total(), "note": ""}


def issues(run: str | Run = "last") -> Table:
    """The rows of a training run whose label looks wrong, the most doubtful first."""
    return run_for(run, lambda r: r.kind == "finetune").label_issues_table()


def delete(run: str | Run) -> Run:
    """Delete a run's record, curves and checkpoints; its model stays. Gives the handle with its last record."""
    handle = run_of(run)
    handle.delete()
    return handle


def compare(*runs: str | Run) -> Table:
    """Runs side by side: what they did, their metrics, and the settings in which they differ, long texts last.

    Raises:
        UsageError: fewer than two.
    """
    if len(runs) < 2:
        raise UsageError("faces.compare_runs", count=len(runs))
    records = [run_of(run).record for run in runs]
    params = sorted({k for r in records for k, v in r.params.items() if isinstance(v, int | float | str)})
    differ = [k for k in params if any(r.params.get(k) != records[0].params.get(k) for r in records)]
    differ.sort(key=lambda k: (any(len(str(r.params.get(k))) > SETTING for r in records), k in FOUND))
    metrics = sorted({k for r in records for k in r.metrics})
    rows = tuple(
        (r.id, r.name, r.kind, *(r.metrics.get(k) for k in metrics), *(_whole(r.params.get(k)) for k in differ))
        for r in records
    )
    return Table(("run", "name", "kind", *metrics, *differ), rows)


def _whole(value: Any) -> Any:
    """A setting of 3.0 epochs is 3: places behind the point are those of metrics."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def reindex() -> str:
    """Rebuild the list of runs from their folders."""
    from modelnook.messages import t

    return t("faces.reindexed", n=Store().reindex())
