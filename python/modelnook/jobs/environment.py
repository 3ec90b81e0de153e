"""What a run was computed with: its interpreter, packages and chips; kept in its record, so that others can read it."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from modelnook.domain.run import RunRecord

__all__ = ["environment", "hardware"]

_PACKAGES = (
    "modelnook torch transformers tokenizers safetensors peft datasets numpy pandas scikit-learn onnxruntime torchao"
)
_DRIVER = Path("/proc/driver/nvidia/gpus")
_CPUS = Path("/proc/cpuinfo")


def environment(record: RunRecord) -> dict[str, Any]:
    """``python``, ``system``, ``packages`` (name -> version) and ``hardware`` of this process, for a run of its own."""
    found = {}
    for name in _PACKAGES.split():
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": found,
        "hardware": hardware(record.device, int(record.params.get("processes") or 1)),
    }


def hardware(device: str | None, count: int = 1) -> str:
    """The chips of a kind of device and how many of them: ``8 × Intel(R) Xeon(R)``, ``2 × NVIDIA H100 80GB HBM3``.

    Args:
        count: how many GPUs were used. Empty where the names aren't known.
    """
    kind, _, first = (device or "").partition(":")
    names = _gpus()[int(first or 0) :][:count] if kind == "cuda" else _cpus()
    return ", ".join(f"{n} × {name}" for name, n in Counter(names).items())


def _gpus() -> list[str]:
    """As PyTorch tells where it has them in use, else as their driver does; no context is made for a name."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())]
    return [name for path in sorted(_DRIVER.glob("*/information")) if (name := _said(path, "Model"))]


def _cpus() -> list[str]:
    name = _said(_CPUS, "model name") or platform.processor()
    return [name] * (os.cpu_count() or 1) if name else []


def _said(file: Path, name: str) -> str:
    """What the first line ``name: value`` of a file says; empty where it can't be read, which fails no run."""
    try:
        lines = [line.partition(":") for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return ""
    return next((value.strip() for head, _, value in lines if head.strip() == name), "")
