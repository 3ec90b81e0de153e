"""Backends that make a model smaller and faster, and the control that never lets a ruined one through."""

from __future__ import annotations

from modelnook.domain.errors import UnsupportedError, unknown
from modelnook.quantize.base import Quantizer
from modelnook.registry import Entry, Registry

__all__ = ["QUANTIZERS", "SCHEMES", "backends"]

SCHEMES = ("int8",)
"""What ``to=`` takes; each backend says which of them it makes."""

QUANTIZERS: Registry[type[Quantizer]] = Registry(
    "quantizer",
    {
        "onnx": Entry(
            "modelnook.quantize.onnx:OnnxQuantizer",
            "int8 weights and activations on ONNX Runtime: the quickest on most CPUs, runs without PyTorch",
            requires=("onnx", "onnxruntime", "onnxscript", "torch", "transformers"),
            extra="onnx",
        ),
        "torchao": Entry(
            "modelnook.quantize.torchao:TorchAoQuantizer",
            "int8 linear layers in PyTorch, saved as safetensors; embeddings stay as they are",
            requires=("torch", "torchao", "transformers"),
            extra="torchao",
        ),
    },
)


def backends(backend: str, scheme: str) -> list[str]:
    """The backends to try for a scheme: the one named, or those of ``auto`` that this machine can run.

    Raises:
        UsageError: no such scheme or backend.
        MissingPackage: the one named isn't installed, or none is.
        UnsupportedError: the one named doesn't make the scheme.
    """
    if scheme not in SCHEMES:
        raise unknown("scheme", scheme, SCHEMES)
    if backend != "auto":
        if scheme not in QUANTIZERS.load(backend).schemes:
            raise UnsupportedError("quantize.no_scheme", backend=backend, scheme=scheme)
        return [backend]
    names = [n for n in QUANTIZERS.available() if not QUANTIZERS[n].gpu or _cuda()]
    found = [n for n in names if scheme in QUANTIZERS.load(n).schemes]
    if not found:
        QUANTIZERS.load(next(iter(QUANTIZERS)))
        raise UnsupportedError("quantize.no_scheme", backend="auto", scheme=scheme)
    return found


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()
