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


def peak() -> int | None:
    """The most memory that this process has held, in bytes (Linux: VmHWM), or None where nothing tells it."""
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


def _container(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What the control group leaves: limit - used + the file cache that it would drop; None without a limit."""
    for limit_file, used_file, stat_file, cache in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ):
        try:
            limit = int((root / limit_file).read_text())
            used = int((root / used_file).read_text())
            stat = dict(line.split() for line in (root / stat_file).read_text().splitlines())
        except (OSError, ValueError):
            continue
        if limit >= _NO_LIMIT:
            return None
        return max(0, limit - used + int(stat.get(cache, 0)))
    return None
