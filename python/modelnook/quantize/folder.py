"""What a quantizer refuses, and the parts of a model's folder that aren't weights."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from modelnook.convert import folder as convert
from modelnook.convert.floats import requantizes
from modelnook.convert.folder import write_config, write_tokenizer
from modelnook.domain.errors import UnsupportedError
from modelnook.runtime.folder import config, quantized

__all__ = ["refuse_quantized", "staged", "write_config", "write_tokenizer"]


def refuse_quantized(source: Path, *, again: bool = False) -> None:
    """Raise UnsupportedError where a model is already quantized: its weights have no precision left to measure from.

    Args:
        again: whether a GGUF file that was found as one will do; what was made here has a better original.
    """
    how = quantized(source)
    found = again and requantizes(source) and not config(source).get("modelnook_quantization")
    if how and not found:
        raise UnsupportedError("quantize.already", path=source, how=how)


def staged(target: Path) -> AbstractContextManager[Path]:
    """:func:`modelnook.convert.folder.staged`, which tells of what couldn't be saved in the words of this room."""
    return convert.staged(target, "quantize.not_saved")
