"""Writing a model for tools outside of modelnook: one file a format, and the control that its answers are the same."""

from __future__ import annotations

from modelnook.export.base import Exporter
from modelnook.registry import Entry, Registry

__all__ = ["EXPORTERS"]

EXPORTERS: Registry[type[Exporter]] = Registry(
    "exporter",
    {
        "onnx": Entry(
            "modelnook.export.onnx:OnnxExporter",
            "a program for ONNX Runtime, with tokenizer and settings",
            requires=("onnx", "onnxruntime", "onnxscript", "torch", "transformers"),
            extra="onnx",
        ),
        "safetensors": Entry(
            "modelnook.export.safetensors:SafetensorsExporter",
            "a folder for transformers' from_pretrained",
            requires=("torch", "transformers"),
            extra="train",
        ),
    },
)
