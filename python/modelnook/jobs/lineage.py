"""Which training run stands behind a model, along its lineage."""

from __future__ import annotations

from modelnook.catalog.search import info
from modelnook.domain.errors import ModelnookError
from modelnook.store import Store
from modelnook.store.runs import RunFolder

__all__ = ["training_run"]


def training_run(store: Store, ref: str) -> RunFolder | None:
    """The run that trained ``ref`` or the model that it was made from; None where that record is gone."""
    wanted: str | None = ref
    for _ in range(10):
        if wanted is None:
            return None
        try:
            entry = info(wanted)[0]
        except ModelnookError:
            return None
        run = store.run(entry.run) if entry.run else None
        recipe = run.recipe() if run else None
        if run and recipe and recipe.verb in ("finetune", "tune"):
            return run
        wanted = entry.base_model if entry.source == "local" else None
    return None
