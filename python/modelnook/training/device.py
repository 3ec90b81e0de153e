"""Where to compute and how precisely: the device, and whether it multiplies bfloat16 natively."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

__all__ = ["is_out_of_memory", "native_bf16", "pick_device", "rng_state", "set_rng_state"]


def pick_device(name: str = "auto") -> torch.device:
    """The device that a name means; ``auto`` is the accelerator where there is one."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


@cache
def native_bf16(kind: str) -> bool:
    """Whether a kind of device (``cpu``, ``cuda`` …) multiplies bfloat16 in hardware; emulation is slower than fp32."""
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    flags = _cpu_flags()
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def _cpu_flags() -> set[str]:
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        return {str(name) for name, has in capabilities().items() if has is True}
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return set()
    lines = (line for line in text.splitlines() if line.startswith(("flags", "Features")))
    return set(next(lines, "").partition(":")[2].split())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the accelerator or in the CPU's allocator."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)


def rng_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The random generators' states, as byte tensors: dropout must go on where it was."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_rng_state(device: torch.device, states: dict[str, torch.Tensor]) -> None:
    """Put :func:`rng_state`'s answer back."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
