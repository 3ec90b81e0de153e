"""A quantization backend: a model folder in, a smaller model folder out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from modelnook.domain.event import Emit

__all__ = ["Quantizer"]


class Quantizer(ABC):
    """``schemes`` are the names that ``to=`` takes; ``attempts`` are the options tried while the drop is too big.

    One instance makes all attempts of a run, so that it may keep what they share (a traced program).
    """

    name: ClassVar[str]
    schemes: ClassVar[tuple[str, ...]]
    runtime: ClassVar[str]
    """The runtime that runs its result."""
    speed: ClassVar[Mapping[str, float]] = {}
    """Scheme -> rows a second as a multiple of the fp32 model's in PyTorch, a rough guess for CPUs: it decides the
    order in which ``auto`` tries, and nothing else. What isn't there counts as 1."""
    seconds: ClassVar[float] = 5.0
    """What an attempt takes to make for a model of 100 MB on two cores, without measuring it."""

    again: ClassVar[bool] = False
    """Whether a base that is there as a GGUF file alone is taken, and quantized once more."""

    @abstractmethod
    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        """Option sets from fastest to most careful, e.g. ``[{}, {"static": True}]``."""

    def check(self, source: Path, *, trimmed: bool) -> None:
        """Raise where a model can't be made smaller so, in a chain whose earlier steps would be made for nothing.

        Args:
            trimmed: whether one of these trims the vocabulary.

        Raises:
            UnsupportedError: an architecture or a tokenizer that this backend can't do.
        """
        return

    @abstractmethod
    def quantize(
        self, source: Path, target: Path, scheme: str, *, task: str, calibration: list[Any], emit: Emit, **options: Any
    ) -> None:
        """Write a complete model folder (program, config, tokenizer) at ``target``.

        Args:
            calibration: some of the person's rows, as a runtime takes them; there may be none.
            emit: may raise :class:`~modelnook.domain.event.Stopped` to end it, which is let through; what takes long
                emits now and then.

        Raises:
            UnsupportedError: an architecture or op that this backend can't do, named.
        """
