"""Numbers about a model: quality with intervals, plain baselines, speed, bytes, memory."""

from __future__ import annotations

__all__ = ["LATE", "MINUTES", "STOPPED"]

STOPPED, LATE = -1001, -1002
"""In the place of an exit code, and no signal's: measuring ended because somebody asked, because it took too long."""

MINUTES = 15
"""For which a model is measured at most."""
