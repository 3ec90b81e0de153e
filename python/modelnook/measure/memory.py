"""Memory: what this process took at most, what is free, and what a model will need.

The estimates follow the sizes that a training step holds: weights, gradients and Adam's two moments, and the
activations of Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models", 2022
(arXiv:2205.05198): 34 x tokens x hidden bytes a layer at two bytes a number, so twice that in float32.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Need", "free", "free_here", "need", "on_gpu", "peak"]

# An interpreter with PyTorch and transformers loaded, and what a small batch passes through (measured, CPU build).
PROCESS = 500_000_000
# Tokens of a training batch that the estimates assume: 16 texts of 128.
BATCH_TOKENS = 16 * 128
FLOAT = 4
# Weight, gradient and two moments of Adam, 4 bytes each.
TRAINED = 4 * FLOAT
LORA_SHARE = 0.02
# Four bits and their scales for four fifths of the weights; embeddings, the rest, stay float32.
FOUR_BITS = 0.8 * 0.52 + 0.2 * FLOAT
_NO_LIMIT = 1 << 60
_LIMITS = (
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Of both versions of Linux's control groups: controller, the files of limit and use, the cache's line."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes to run a model, to train it with LoRA, and to train all of it; the process itself is counted in.

    ``qlora`` is LoRA's need where the weights are held in four bits.
    """

    run: int
    lora: int
    full: int
    qlora: int

    def of(self, method: str) -> int:
        """The need of a fine-tuning method by its name."""
        if method == "qlora":
            return self.qlora
        return self.full if method in ("full", "few-shot") else self.lora


def need(parameters: int, *, bytes_on_disk: int | None = None, batch_tokens: int = BATCH_TOKENS) -> Need:
    """An estimate from a model's size alone, within about a third of what is measured for encoders.

    Args:
        parameters: numbers in the weights.
        bytes_on_disk: of the folder; well under two bytes a parameter means quantized weights, which run as they are.
        batch_tokens: rows x length of a training batch.
    """
    weights = FLOAT * parameters
    small = bytes_on_disk is not None and bytes_on_disk < 1.5 * parameters
    run = bytes_on_disk if small and bytes_on_disk else weights
    activations = batch_tokens * _activations(parameters)
    beside = int(LORA_SHARE * parameters) * TRAINED + activations
    return Need(
        PROCESS + run,
        PROCESS + weights + beside,
        PROCESS + TRAINED * parameters + activations,
        PROCESS + int(FOUR_BITS * parameters) + beside,
    )


def _activations(parameters: int) -> int:
    # Bytes a token. Encoders have about 64 of width a layer (BERT base 768 = 12 x 64, MiniLM 384 = 6 x 64), 12 width²
    # weights in each: width from the parameters, layers from the width. Half of a small model is its vocabulary.
    width = (0.6 * parameters * 64 / 12) ** (1 / 3)
    return int(68 * width * max(1.0, width / 64))


def peak(device: str = "cpu") -> int | None:
    """The most memory that this process has held, in bytes (Linux: VmHWM), or None where nothing tells it.

    Args:
        device: where its model is; of a GPU it is that one's memory.
    """
    torch = sys.modules.get("torch")
    if device.startswith("cuda") and torch is not None:
        return int(torch.cuda.max_memory_reserved(device))
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def free() -> int | None:
    """Bytes that a new process could take: of a GPU where PyTorch is loaded and sees one, else of machine or container.

    None where psutil isn't there.
    """
    gpu = _cuda()
    return free_here() if gpu is None else gpu


def free_here() -> int | None:
    """:func:`free` of machine or container, whatever GPU there is."""
    try:
        import psutil
    except ImportError:
        return None
    left = int(psutil.virtual_memory().available)
    limit = _container()
    return left if limit is None else min(left, limit)


def on_gpu() -> bool:
    """Whether :func:`free` is a GPU's memory."""
    return _cuda() is not None


def _cuda() -> int | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return int(torch.cuda.mem_get_info()[0])


def _container(root: Path = Path("/sys/fs/cgroup"), of: Path = Path("/proc/self/cgroup")) -> int | None:
    """What the control groups of a process leave, a container's or a cluster's job's; None without a limit.

    Args:
        of: says which groups those are; a group is limited by those above it as well.
    """
    try:
        said = [line.split(":", 2) for line in of.read_text().splitlines()]
    except OSError:
        said = []
    for controller, *files in _LIMITS:
        path = next((path for _, names, path in said if controller in names.split(",")), "/")
        parts = [] if ".." in path else [part for part in path.split("/") if part]
        groups = [(root / controller).joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
        found = [left for group in groups if (left := _left(group, *files)) is not None]
        if found:
            return min(found)
    return None


def _left(group: Path, limit_file: str, used_file: str, cache: str) -> int | None:
    """Limit - used + the file cache that a control group would drop; None without a limit."""
    try:
        limit = int((group / limit_file).read_text())
        used = int((group / used_file).read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    return None if limit >= _NO_LIMIT else max(0, limit - used + int(stat.get(cache, 0)))
