"""Giving a model another name, and the runs that made it the new reference."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from modelnook.domain.errors import ConflictError
from modelnook.store import Store
from modelnook.store.lease import Holder
from modelnook.store.runs import RunFolder

__all__ = ["rename"]


def rename(store: Store, name: str, new: str) -> dict[str, str]:
    """Rename a model with all its revisions; old reference -> new one, of each.

    Raises:
        NotFoundError: no such model.
        UsageError: not a name.
        ConflictError: the name is taken, or a run that made one of its revisions is being worked on.
    """
    store.models.check_rename(name, new)
    with ExitStack() as held:
        # All of them first: only the holder of a run's lease writes its record, and it would write the old reference.
        makers = [(run, _take(run, name, held)) for run in _makers(store, name)]
        known = store.models.rename(name, new)
        written = []
        for run, holder in makers:
            record = run.record()
            if record is not None:
                now = replace(record, model=known.get(record.model or "", record.model))
                now = replace(now, report=_renamed(now.report, known))
                run.write(now, epoch=holder.epoch, durable=True)
                written.append(now)
    store.list_again(written)
    return known


def _makers(store: Store, name: str) -> list[RunFolder]:
    """The runs that made its revisions, as far as they are here."""
    made = dict.fromkeys(store.models.info(name, revision).run for revision in store.models.revisions(name))
    runs = [store.run(id) for id in made if id]
    return [run for run in runs if run.record() is not None]


def _take(run: RunFolder, name: str, held: ExitStack) -> Holder:
    lease, record = run.lease, run.seen()
    # A worker that was started and hasn't the lease yet would find it taken.
    at_work = lease.live() or (record is not None and record.live)
    holder = None if at_work else lease.take(lease.epoch())
    if holder is None:
        raise ConflictError("store.maker_at_work", run=run.id, name=name)
    held.callback(lease.give_back, holder.epoch)
    return holder


def _renamed(value: Any, known: dict[str, str]) -> Any:
    """A report with new references: a tuning names there every model that it kept."""
    if isinstance(value, dict):
        return {key: _renamed(inner, known) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(inner, known) for inner in value]
    return known.get(value, value) if isinstance(value, str) else value
