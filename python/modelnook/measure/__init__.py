"""Numbers about a model: quality with intervals, plain baselines, speed, bytes, memory."""

from __future__ import annotations

__all__ = ["LATE", "STOPPED"]

STOPPED, LATE = -2, -3
"""In the place of an exit code: measuring was ended because somebody asked, because it took too long."""
