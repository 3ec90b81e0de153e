"""How a sentence encoder makes one vector of its tokens' ones, as its folder says it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["POOLINGS", "kept", "parts_of", "pooling_of", "poolings_of", "pools"]

_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
"""What older versions of sentence-transformers wrote in place of ``pooling_mode``."""


POOLINGS = {"cls": "cls", "lasttoken": "last", "max": "max", "mean": "mean", "mean_sqrt_len_tokens": "mean"}
"""How sentence-transformers calls what is done here. A mean that is scaled by the text's length is the mean once its
length is one.
"""

KEEPERS = ("fill-mask", "sentence-similarity", "text-generation")
"""Tasks that leave a body's vectors what they were: no head is trained to read them in another way."""


def pooling_of(folder: Path) -> str | None:
    """The only one of :func:`poolings_of`; None where there is none or several."""
    modes = poolings_of(folder)
    return modes[0] if len(modes) == 1 else None


def poolings_of(folder: Path) -> list[str]:
    """``mean``, ``cls``, ``lasttoken`` …, as ``1_Pooling/config.json`` of sentence-transformers names them; the vectors
    of several are joined. A model made here has no such file: its config says it.
    """
    said = _json(folder / "1_Pooling" / "config.json")
    if not isinstance(said, dict):
        return _learnt(_json(folder / "config.json"))
    named = said.get("pooling_mode")
    if named is None:
        named = [mode for flag, mode in _FLAGS.items() if said.get(flag)]
    return [named] if isinstance(named, str) else [str(mode) for mode in named]


def kept(task: str, base: Path) -> dict[str, Any]:
    """``pooling`` of a base and the number of its ``dense`` layers, for ``modelnook_learnt`` of what a task makes of
    it; empty where it says none, or the body learns to be read in another way.
    """
    if task not in KEEPERS:
        return {}
    how, layers = POOLINGS.get(pooling_of(base) or ""), parts_of(base).count("Dense")
    # Counted, so that a folder that lost the layers is refused: it would give other vectors.
    return ({"pooling": how} if how else {}) | ({"dense": layers} if layers else {})


def parts_of(folder: Path) -> list[str]:
    """``Transformer``, ``Pooling``, ``Dense`` …: what a text goes through, as ``modules.json`` names it; empty where it
    isn't there.
    """
    said = _json(folder / "modules.json")
    parts = said if isinstance(said, list) else []
    return [str(part.get("type")).rpartition(".")[2] for part in parts if isinstance(part, dict)]


def pools(folder: Path) -> str:
    """How a model of the folder is read here, a value of :data:`POOLINGS`; the mean where it says nothing else."""
    return POOLINGS.get(pooling_of(folder) or "", "mean")


def _learnt(said: Any) -> list[str]:
    if not isinstance(said, dict) or said.get("modelnook_task") not in KEEPERS:
        return []
    learnt = said.get("modelnook_learnt")
    how = learnt.get("pooling") if isinstance(learnt, dict) else None
    return [theirs for theirs, ours in POOLINGS.items() if ours == how][:1]


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
