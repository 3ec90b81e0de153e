"""What figures were taken on: the processor and what of it matters here, threads, load, versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["line", "machine"]

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16")
_CPUINFO = Path("/proc/cpuinfo")


def machine(threads: int | None = None, packages: tuple[str, ...] = ()) -> dict[str, Any]:
    """The machine as a benchmark's result keeps it.

    Args:
        threads: those of each contender; the settings' without it.
        packages: whose versions count.
    """
    from modelnook.settings import current

    said: dict[str, str] = {}
    for text in _CPUINFO.read_text().splitlines() if _CPUINFO.exists() else ():
        key, _, value = text.partition(":")
        said.setdefault(key.strip(), value.strip())
    flags = said.get("flags", said.get("Features", "")).split()
    return {
        "cpu": said.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "threads": threads or current().threads,
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{package: _version(package) for package in packages},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"


def line(found: dict[str, Any]) -> str:
    """The machine in one line."""
    return "machine: " + " ".join(f"{k}={','.join(v) if isinstance(v, list) else v}" for k, v in found.items())
