"""Uploading a run that was logged offline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from modelnook.domain.errors import ConflictError, NotFoundError
from modelnook.messages import t
from modelnook.run import Run
from modelnook.settings import current
from modelnook.store import Store

__all__ = ["sync"]


def sync(run: Run) -> Run:
    """Upload ``run`` with the wandb library and note where it is now.

    Raises:
        ConflictError: it still runs.
        NotFoundError: nothing was logged offline.
    """
    from modelnook.tracking.wandb import sync as upload

    record = run.record
    if record.live:
        raise ConflictError("jobs.live", run=run.id, state=t(f"state.{record.state}"))
    path = (record.wandb or {}).get("path")
    if not path or not Path(path).exists():
        raise NotFoundError("jobs.unsynced", run=run.id)
    status = upload(Path(path), current())
    store = Store()
    holder = run.folder.lease.take(run.folder.lease.epoch())
    if holder is None:
        raise ConflictError("jobs.resumed_elsewhere", run=run.id)
    try:
        record = replace(record, wandb={**(record.wandb or {}), **status})
        run.folder.write(record, epoch=holder.epoch, durable=True)
    finally:
        run.folder.lease.give_back(holder.epoch)
    store.list_again([record])
    return run
