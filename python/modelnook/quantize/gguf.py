"""GGUF, the format of llama.cpp: 8 bits by its converter, 4 bits (Q4_K_M) by its quantizer.

One file with tokenizer and chat template, and beside it config and tokenizer as transformers reads them. It is measured
on llama.cpp, or where that isn't installed as floats in PyTorch, which saves bytes on the disk alone. A base that is a
GGUF file itself is read as floats first, and that it was quantized before is said.

Layers whose width no block of 256 divides become Q5_0 or Q8_0 under the name of Q4_K_M, and small models lose much:
SmolLM2-135M, from a base in Q4_1, is larger than that and predicts worse by 0.07 nats a token (Q8_0: 0.006).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.convert.floats import requantizes
from modelnook.convert.gguf import FILE, TASK, check, convert, shrink
from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Progress, Warned
from modelnook.quantize.base import Quantizer
from modelnook.quantize.folder import refuse_quantized, staged, write_config, write_tokenizer
from modelnook.runtime.folder import quantized
from modelnook.tasks.pretrained_heavy import load_tokenizer

__all__ = ["GgufQuantizer"]

CONVERTED = "q8_0"


class GgufQuantizer(Quantizer):
    """See :class:`~modelnook.quantize.base.Quantizer`."""

    name = "gguf"
    schemes = (CONVERTED, "q4_k_m")
    runtime = "llama"
    seconds = 3.0
    again = True

    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        """One: a scheme of llama.cpp says all of how it is done."""
        return [{}]

    def check(self, source: Path, *, trimmed: bool) -> None:
        """See :meth:`Quantizer.check`."""
        if not requantizes(source):
            check(source, trimmed=trimmed)

    def quantize(
        self, source: Path, target: Path, scheme: str, *, task: str, calibration: list[Any], emit: Emit, **options: Any
    ) -> None:
        """See :meth:`Quantizer.quantize`.

        Raises:
            UnsupportedError: another task than text generation, an architecture or a tokenizer that llama.cpp doesn't
                have, no quantizer of llama.cpp here.
        """
        if task != TASK:
            raise UnsupportedError("quantize.only_for", backend=self.name, tasks=TASK, task=task)
        refuse_quantized(source, again=True)
        if requantizes(source):
            emit(Warned.of("quantize.twice", how=quantized(source)))
        emit(Progress("quantizing"))
        with staged(target) as folder:
            file, name = folder / FILE, _name(source)
            if scheme == CONVERTED:
                convert(source, file, scheme, name=name, emit=emit)
            else:
                whole = folder / f"whole-{FILE}"
                convert(source, whole, "f16", name=name, emit=emit)
                shrink(whole, file, scheme, emit=emit)
                whole.unlink()
            emit(Progress("saving"))
            write_tokenizer(source, folder, load_tokenizer(str(source)))
            write_config(source, folder, self.name, scheme, options)


def _name(source: Path) -> str:
    """What the model calls itself: a local model's folder is its revision, in one of its name."""
    return source.parent.name if source.name.isdigit() else source.name
