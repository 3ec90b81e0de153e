"""Bringing a model's files to this machine, outside of whoever asked for them."""

from __future__ import annotations

from pathlib import Path

from modelnook.catalog.base import RUN_FILE
from modelnook.domain.event import Finished
from modelnook.domain.model import ModelRef
from modelnook.jobs.steps.context import Context
from modelnook.store import Store
from modelnook.store.files import folder_bytes
from modelnook.store.received import adopt

__all__ = ["pull", "take_record"]


def pull(context: Context) -> Finished:
    """Fetch a model; the end's report says where it lies."""
    folder = context.fetch(context.recipe.model)
    take_record(context.store, folder, ModelRef.parse(context.recipe.model))
    return Finished(report={"path": str(folder), "bytes": folder_bytes(folder)})


def take_record(store: Store, folder: Path, ref: ModelRef) -> None:
    """List the run that made a model among the runs, where it was published with its record."""
    if ref.source not in (None, "local", "pip", "path") and (folder / RUN_FILE).is_file():
        adopt(store, (folder / RUN_FILE).read_bytes(), ref.source or "", str(ref))
