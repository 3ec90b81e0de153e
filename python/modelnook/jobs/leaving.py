"""Whether the kernel in which somebody waits for a run is about to end."""

from __future__ import annotations

import sys
import time
from typing import Any

__all__ = ["leaving"]

LEAVING_S = 1.0
"""Seconds after an interrupt in which a kernel may turn out to be restarting: that interrupts first, then ends it."""


def leaving() -> bool:
    """Whether the interrupt was that of a kernel which ends: nobody asked the run to stop then."""
    module: Any = sys.modules.get("IPython")
    shell: Any = module.get_ipython() if module else None
    if getattr(shell, "kernel", None) is None:
        return False
    end = time.monotonic() + LEAVING_S
    try:
        while not shell.exit_now and time.monotonic() < end:
            time.sleep(0.02)
    except KeyboardInterrupt:
        pass
    return bool(shell.exit_now)
