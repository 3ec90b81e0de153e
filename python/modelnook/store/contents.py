"""What tells a model that is here from another under the same reference, as after its files were replaced."""

from __future__ import annotations

import os
from pathlib import Path

from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.domain.run import RunRecord
from modelnook.store import Store

__all__ = ["content", "was_of"]

_HERE = ("local", "path")
"""Sources whose references name a place; those of others hold a revision that means one content."""
_WEIGHTS = ("*.safetensors", "[0-9]*_Dense/*.safetensors", "*.onnx", "*.gguf", "openvino_model.bin")


def content(store: Store, ref: ModelRef) -> str | None:
    """The run that made a model; for one without, and for a folder, its weights' size and time; None of other sources.

    Raises:
        NotFoundError: no such model in the store.
    """
    if ref.source not in _HERE:
        return None
    folder = Path(os.path.expanduser(ref.id))
    if ref.source == "local":
        info = store.models.info(ref.id, ref.revision)
        if info.run:
            return info.run
        folder = Path(info.path or "")
    stats = [file.stat() for pattern in _WEIGHTS for file in sorted(folder.glob(pattern))]
    return " ".join(f"{s.st_size}:{s.st_mtime_ns}" for s in stats)


def was_of(store: Store, record: RunRecord, info: ModelInfo) -> bool:
    """Whether a run that started from a model's reference started from this very model."""
    held = content(store, ModelRef.parse(info.ref))
    if held is None:
        return True
    recipe = store.run(record.id).recipe()
    if recipe is None or recipe.contents:
        return recipe is not None and held in recipe.contents
    # Of before recipes told it: nothing that came after the model measured the one before it.
    maker = store.run(info.run).record() if info.run else None
    return (record.created or "") >= ((maker.ended if maker else None) or info.updated or "")
