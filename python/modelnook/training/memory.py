"""Keep freed memory for the next step, instead of giving it back to the system and getting it zeroed again.

glibc returns large blocks at once; a training step frees and takes the same tensors every time, and half of an
attention layer's time went into page faults. Elsewhere than on Linux with glibc nothing is changed.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["give_back", "keep_memory"]

# From <malloc.h>, and glibc's defaults.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
DEFAULT = 128 * 1024
LARGE = 1 << 30


@contextmanager
def keep_memory() -> Iterator[None]:
    """Within it, freed blocks stay with the process; afterwards they are given back."""
    library = _glibc()
    if library is None:
        yield
        return
    library.mallopt(M_MMAP_THRESHOLD, LARGE)
    library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        library.mallopt(M_MMAP_THRESHOLD, DEFAULT)
        library.mallopt(M_TRIM_THRESHOLD, DEFAULT)
        library.malloc_trim(0)


def give_back() -> None:
    """What a training has left behind goes to the system: objects in circles first, then the blocks they held."""
    gc.collect()
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    has_all = all(hasattr(library, name) for name in ("gnu_get_libc_version", "mallopt", "malloc_trim"))
    return library if has_all else None
