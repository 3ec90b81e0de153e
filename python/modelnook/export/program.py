"""What the formats of traced programs share: a program that stands for the model, with tokenizer and settings."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from modelnook.convert import WITHOUT
from modelnook.convert.folder import write_config, write_tokenizer
from modelnook.convert.trace import Traced
from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Progress
from modelnook.export.base import Exporter
from modelnook.runtime.folder import formats, quantized
from modelnook.store.models import CARD

__all__ = ["ProgramExporter"]


class ProgramExporter(Exporter):
    """See :class:`Exporter`."""

    attention: ClassVar[str] = "eager"
    """See :class:`~modelnook.convert.trace.Traced`."""

    @abstractmethod
    def program(self, traced: Traced) -> Any:
        """The program of a model.

        Raises:
            UnsupportedError: an operation that can't be traced, named.
        """

    @abstractmethod
    def save(self, program: Any, file: Path) -> None:
        """Write it."""

    def write(
        self, source: Path, folder: Path, *, task: str, rows: Sequence[Any], name: str, emit: Emit
    ) -> dict[str, Any]:
        """See :meth:`Exporter.write`. What is such a program already, quantized or not, is copied as it is."""
        how = quantized(source)
        if self.name in formats(source):
            emit(Progress("saving"))
            for file in source.iterdir():
                if file.is_file() and file.name not in (CARD, "README.md") and file.suffix != ".safetensors":
                    shutil.copyfile(file, folder / file.name)
            return {"quantized": how} if how else {}
        if how:
            raise UnsupportedError("export.cant_hold", path=source, how=how, format=self.name)
        if task in WITHOUT:
            by_parts = task == "fill-mask"
            raise UnsupportedError("task.no_program" if by_parts else "export.no_writers", task=task, format=self.name)
        emit(Progress("loading"))
        traced = Traced(source, task, rows, self.attention)
        emit(Progress("exporting"))
        program = self.program(traced)
        emit(Progress("saving"))
        write_tokenizer(source, folder, traced.processor, for_program=True)
        write_config(source, folder)
        self.save(program, folder / self.weights)
        return {}
