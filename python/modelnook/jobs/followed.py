"""``python -m modelnook.jobs.followed PID START MODULE …``: runs a module that goes with its worker, however that ends.

The worker is named by its pid and when that began. What measures for it would go on beside the one that resumes its
run: timed together both are slower, and both write the same folder.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time
from dataclasses import replace

from modelnook.store.lease import me

__all__ = ["follow"]


def follow(pid: str, start: str) -> None:
    """End this process at once when the worker that started it is gone, or was before this was asked."""
    worker = replace(me(), pid=int(pid), start=float(start))
    while worker.alive(None):
        time.sleep(0.5)
    os._exit(1)


def main(arguments: list[str]) -> None:
    """The program; it ends as the module does."""
    pid, start, module, *rest = arguments
    threading.Thread(target=follow, args=(pid, start), name="modelnook-follow", daemon=True).start()
    sys.argv[1:] = rest
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
