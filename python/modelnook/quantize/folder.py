"""What a quantizer refuses, and the parts of a model's folder that aren't weights."""

from __future__ import annotations

from pathlib import Path

from modelnook.convert.folder import staged, write_config, write_tokenizer
from modelnook.domain.errors import UnsupportedError
from modelnook.runtime.folder import quantized

__all__ = ["refuse_quantized", "staged", "write_config", "write_tokenizer"]


def refuse_quantized(source: Path) -> None:
    """Raise UnsupportedError where a model is already quantized: its weights have no precision left to measure from."""
    how = quantized(source)
    if how:
        raise UnsupportedError("quantize.already", path=source, how=how)
