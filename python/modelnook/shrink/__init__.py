"""Smaller models by other means than lower precision: fewer tokens (``trim``), fewer layers (``prune``, students)."""

from __future__ import annotations

__all__ = ["TAUGHT"]

TAUGHT = (
    "audio-classification",
    "image-classification",
    "multi-label-classification",
    "table",
    "text-classification",
    "text-regression",
)
"""Tasks whose models say one vector or number a row, which a student can learn."""
