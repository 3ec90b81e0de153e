"""What stands behind a model, along its lineage: the run that trained it, the file that its weights came from."""

from __future__ import annotations

from modelnook.catalog.search import info
from modelnook.domain.errors import ModelnookError
from modelnook.domain.model import ModelInfo
from modelnook.domain.recipe import Recipe
from modelnook.store import Store
from modelnook.store.runs import RunFolder

__all__ = ["quantized_base", "training_run"]


def training_run(store: Store, ref: str) -> RunFolder | None:
    """The run that trained or taught ``ref``, or the model that it was made from; None where that record is gone."""
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
        if run and recipe and (recipe.verb in ("finetune", "tune") or _taught(run, recipe)):
            return run
        wanted = entry.base_model if entry.source == "local" else None
    return None


def _taught(run: RunFolder, recipe: Recipe) -> bool:
    """Whether rows were divided into those that a smaller model learnt from and those that it was chosen by."""
    divided = "train" in run.split() or recipe.eval_data is not None
    return recipe.verb in ("distil", "prune", "shrink") and recipe.data is not None and divided


def quantized_base(entry: ModelInfo) -> ModelInfo | None:
    """The GGUF file whose weights a model began with, None where there is none or nobody knows it any more."""
    for _ in range(10):
        if not entry.base_model or entry.source not in ("local", "path"):
            return None
        try:
            entry = info(entry.base_model)[0]
        except ModelnookError:
            return None
        if entry.formats == ("gguf",):
            return entry
    return None
