"""Uploading a run that was logged offline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from modelnook.domain.errors import ConflictError, NotFoundError
from modelnook.domain.run import RunRecord
from modelnook.messages import t
from modelnook.run import Run
from modelnook.settings import current
from modelnook.store import Store

__all__ = ["newest", "parts", "sync"]


def parts(folder: Path) -> list[Path]:
    """The W&B folders of a tuning's trials that aren't on the server yet."""
    from modelnook.tracking.wandb_notes import Notes

    found = []
    for place in sorted((folder / "tracking" / "trials").glob("*")):
        left = [name for name, done in Notes.read(place).folders.items() if not done]
        found += [place / "wandb" / name for name in left[:1]]
    return found


def newest(store: Store) -> Run:
    """The newest run that has something to upload.

    Raises:
        NotFoundError: none has.
    """
    for record in store.index.runs(limit=-1):
        if not record.live and _left(record) and not (record.wandb or {}).get("synced"):
            return Run(store, record.id)
    raise NotFoundError("jobs.nothing_unsynced")


def _left(record: RunRecord) -> Path | None:
    """The folder that W&B has of a run here."""
    said = (record.wandb or {}).get("path")
    return Path(said) if record.origin == "local" and said and Path(said).exists() else None


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
    path = _left(record)
    if path is None:
        raise NotFoundError("jobs.unsynced", run=run.id)
    status = upload(path, current())
    for part in parts(run.folder.path):
        upload(part, current())
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
