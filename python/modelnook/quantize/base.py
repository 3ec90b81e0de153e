"""A quantization backend: a model folder in, a smaller model folder out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from modelnook.domain.event import Emit

__all__ = ["Quantizer"]


class Quantizer(ABC):
    """``schemes`` are the names that ``to=`` takes; ``attempts`` are the options tried while the drop is too big."""

    name: ClassVar[str]
    schemes: ClassVar[tuple[str, ...]]
    runtime: ClassVar[str]
    """The runtime that runs its result."""

    @abstractmethod
    def attempts(self, scheme: str) -> list[dict[str, Any]]:
        """Option sets from fastest to most careful, e.g. ``[{}, {"per_channel": True}]``."""

    @abstractmethod
    def quantize(
        self, source: Path, target: Path, scheme: str, *, task: str, calibration: list[Any], emit: Emit, **options: Any
    ) -> None:
        """Write a complete model folder (program, config, tokenizer) at ``target``.

        Raises:
            UnsupportedError: an architecture or op that this backend can't do, named.
        """
