"""How a sentence encoder makes one vector of its tokens' ones, as its folder says it."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["pooling_of", "pools"]

_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
"""What older versions of sentence-transformers wrote in place of ``pooling_mode``."""


def pooling_of(folder: Path) -> str | None:
    """``mean``, ``cls``, ``lasttoken`` …, as ``1_Pooling/config.json`` of sentence-transformers names it; None where it
    isn't there or names several, whose vectors are then joined.
    """
    try:
        said = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    named = said.get("pooling_mode") if isinstance(said, dict) else []
    if named is None:
        named = [mode for flag, mode in _FLAGS.items() if said.get(flag)]
    modes = [named] if isinstance(named, str) else list(named)
    return str(modes[0]) if len(modes) == 1 else None


def pools(folder: Path) -> str:
    """How a model of the folder is read here: ``mean``, ``cls`` or ``last``; the mean where it says nothing else."""
    return {"cls": "cls", "lasttoken": "last"}.get(pooling_of(folder) or "", "mean")
