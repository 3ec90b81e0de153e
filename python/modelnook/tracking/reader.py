"""``python -m modelnook.tracking.reader``: keeps a W&B project's runs in the index, so that a colleague's are listed.

The server starts it while somebody looks at the runs and ends it by closing its standard input. Runs that this store
has itself are left alone: their folders are the truth.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from modelnook.domain.run import RunRecord
from modelnook.settings import Settings, current
from modelnook.store import Store
from modelnook.tracking.wandb_server import Server, quieten

__all__ = ["Project", "main", "read_project"]

_EVERY = 10.0
_SLOWEST = 120.0
_RUNS = 200
_WAIT = 10
_STATES = {"running": "running", "pending": "queued", "finished": "finished", "failed": "failed", "killed": "stopped"}
_LINEAGE = ("base", "model", "task", "method", "kind", "primary_metric", "data", "modelnook")


class Project:
    """A W&B project, read again and again; only runs that moved are read whole."""

    def __init__(self, settings: Settings, *, limit: int = _RUNS) -> None:
        quieten()
        import wandb

        self._api: Any = wandb.Api(timeout=_WAIT)
        entity = os.environ.get("WANDB_ENTITY")
        self.path = f"{entity}/{settings.wandb_project}" if entity else settings.wandb_project
        self.limit = limit
        self._seen: dict[str, tuple[Any, ...]] = {}
        self._records: dict[str, RunRecord] = {}

    def read(self) -> list[RunRecord]:
        """The newest runs as records of the origin ``wandb``; a project that isn't there yet has none."""
        whole = not self._seen
        try:
            listed = self._listed(whole)
        except ValueError:
            listed = []
        marks = {run.id: (run.state, run.heartbeatAt, run.historyLineCount) for run in listed}
        for run in listed:
            if self._seen.get(run.id) != marks[run.id]:
                if not whole:
                    run.load_full_data()
                self._records[run.id] = record_of(run)
        self._seen = marks
        return [self._records[id] for id in marks]

    def _listed(self, whole: bool) -> list[Any]:
        """The rows of the list; without settings and results unless ``whole``, which are another request a run."""
        self._api.flush()
        runs = self._api.runs(self.path, order="-created_at", per_page=50, lazy=not whole)
        found = []
        for run in runs:
            found.append(run)
            if len(found) == self.limit:
                break
        return found


def read_project(settings: Settings, *, limit: int = _RUNS) -> list[RunRecord]:
    """The newest runs of the person's W&B project."""
    return Project(settings, limit=limit).read()


def record_of(run: Any) -> RunRecord:
    """A run of W&B as a record. What a run of ours says of itself is in its settings and results."""
    config: dict[str, Any] = dict(run.config)
    numbers = {k: v for k, v in dict(run.summary).items() if not k.startswith("_") and _number(v)}
    ends = {m: (f"{m}_low", f"{m}_high") for m in numbers if {f"{m}_low", f"{m}_high"} <= numbers.keys()}
    bounds = {name for pair in ends.values() for name in pair}
    user = getattr(run, "user", None)
    state = _STATES.get(run.state, "crashed")
    data = config.get("data")
    return RunRecord(
        id=run.id,
        name=run.name or run.id,
        kind=config.get("kind") or run.job_type or "finetune",
        state=state,
        base=config.get("base"),
        model=config.get("model"),
        task=config.get("task"),
        method=config.get("method"),
        data=data if isinstance(data, dict) else None,
        params={k: v for k, v in config.items() if k not in _LINEAGE and isinstance(v, (bool, int, float, str))},
        metrics={k: float(v) for k, v in numbers.items() if k not in bounds},
        intervals={m: (float(numbers[low]), float(numbers[high])) for m, (low, high) in ends.items()},
        primary_metric=config.get("primary_metric"),
        created=run.created_at,
        started=run.created_at,
        ended=None if state in ("running", "queued") else run.heartbeatAt,
        host=getattr(user, "username", None),
        wandb={"mode": "online", "project": run.project, "url": run.url, "synced": True},
        origin="wandb",
        version=str(config.get("modelnook") or ""),
    )


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def keep(store: Store, records: Iterable[RunRecord], before: dict[str, RunRecord]) -> dict[str, RunRecord]:
    """Write into the index what is new, and forget what is gone; gives what it holds now."""
    # A tuning's trials are told by its own run.
    now = {r.id: r for r in records if r.kind != "trial" and not store.run(r.id).path.exists()}
    changed = [r for id, r in now.items() if before.get(id) != r]
    if changed:
        store.index.put_runs(changed)
    for gone in before.keys() - now.keys():
        if not store.run(gone).path.exists():
            store.index.drop_run(gone)
    return now


def known(store: Store) -> dict[str, RunRecord]:
    """The runs of W&B that the index holds from the last time."""
    return {r.id: r for r in store.index.runs(limit=-1) if r.origin == "wandb"}


def main(arguments: list[str] | None = None) -> int:
    """The helper's program; 0 when W&B is no longer online, 2 where there is no key."""
    parser = argparse.ArgumentParser(prog="modelnook.tracking.reader")
    parser.add_argument("--every", type=float, default=_EVERY)
    parser.add_argument("--once", action="store_true")
    options = parser.parse_args(arguments)
    if not options.once:
        threading.Thread(target=_end_with_input, daemon=True).start()
    if not Server.current().logged_in:
        print("no W&B API key", file=sys.stderr)
        return 2
    store = Store()
    held, wait = known(store), options.every
    project: Project | None = None
    while current().wandb_mode == "online":
        try:
            project = project or Project(current())
            held, wait = keep(store, project.read(), held), options.every
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            wait = min(wait * 2, _SLOWEST)
        if options.once:
            break
        time.sleep(wait)
    return 0


def _end_with_input() -> None:
    """End when the one who started this does: its side of the pipe closes, however it ends."""
    # Not through sys.stdin, whose lock an ending interpreter can't have from here.
    while os.read(0, 4096):
        continue
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
