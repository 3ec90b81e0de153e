"""Models that optimum-quanto wrote: its state dict and the map of its layers, read into a model of transformers."""

from __future__ import annotations

import json
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from modelnook.domain.errors import MissingPackage

__all__ = ["MAP", "load_quanto", "without_compiler"]

MAP = "quantization_map.json"
"""Module name -> ``{"weights": "qint8", "activations": "none"}``; its presence says whose folder it is."""


def load_quanto(path: str, config: Any, kind: Any) -> Any:
    """The model in eval mode, float32 but for its quantized weights.

    Args:
        kind: the class ``Auto…`` of transformers that gives the head.

    Raises:
        MissingPackage: optimum-quanto isn't installed.
    """
    if find_spec("optimum") is None or find_spec("optimum.quanto") is None:
        raise MissingPackage("task.needs_quanto", path=path)
    from optimum.quanto import requantize
    from safetensors.torch import load_file

    without_compiler()
    layers = json.loads((Path(path) / MAP).read_text(encoding="utf-8"))
    model = kind.from_config(config, dtype=torch.float32, trust_remote_code=False)
    requantize(model, load_file(str(Path(path) / "model.safetensors")), layers)
    model.tie_weights()
    for weight in model.parameters():
        weight.requires_grad_(False)
    if any(layer["weights"] == "qint4" for layer in layers.values()):
        _outside_inference_mode(model)
    return model.eval()


def _outside_inference_mode(model: Any) -> None:
    """Have the model compute without gradients only: PyTorch refuses to turn packed weights in its inference mode."""
    forward = model.forward

    @wraps(forward)
    def outside(*args: Any, **kwargs: Any) -> Any:
        with torch.inference_mode(False), torch.no_grad():
            return forward(*args, **kwargs)

    model.forward = outside


def without_compiler() -> None:
    """Let quanto unpack int4 with PyTorch: on a CPU it would compile C++ into its own package at the first use."""
    from optimum.quanto.library.extensions import get_extension

    extension = get_extension("quanto_cpp")
    if extension._lib is None:
        extension._lib = SimpleNamespace(unpack=_unpacked)


def _unpacked(packed: torch.Tensor, bits: int) -> torch.Tensor:
    """The values of ``bits`` bits that bytes hold, the lowest of all bytes first, as quanto packs them; uint8."""
    mask = (1 << bits) - 1
    return torch.cat([(packed >> shift) & mask for shift in range(0, 8, bits)])
