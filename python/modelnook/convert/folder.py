"""The parts of a made model's folder that aren't weights, and the room they are written in."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelnook.catalog.papers import json_in
from modelnook.domain.errors import StoreError, UnsupportedError
from modelnook.runtime.folder import config
from modelnook.runtime.silence import first_line
from modelnook.store.files import replaced
from modelnook.tasks.near import fold, near_of, plain, write_near

__all__ = ["CHAT_TEMPLATE", "staged", "write_config", "write_tokenizer", "writing"]

CHAT_TEMPLATE = "chat_template.jinja"
"""Where transformers keeps how a conversation is written."""
FULL = "No space left"
FULL_BELOW = 1 << 20


@contextmanager
def staged(target: Path, code: str) -> Iterator[Path]:
    """A folder beside ``target`` that takes its name when the block ends well, and is removed when it doesn't.

    Args:
        code: the message where it can't be written.

    Raises:
        StoreError: the disk is full or not writable.
    """
    try:
        with replaced(target) as part, writing(part):
            yield part
    except OSError as error:
        raise StoreError(code, path=target, error=error.strerror or error) from error


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Around a library that writes into a folder: a full disk is the system's error for that, however it is told.

    Raises:
        OSError: ``ENOSPC``, where the library says so in its own words, or only that a stream broke on a full disk.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        broke = isinstance(error, OSError | RuntimeError) and shutil.disk_usage(folder).free < FULL_BELOW
        if FULL not in str(error) and not broke:
            raise
        raise OSError(errno.ENOSPC, first_line(error)) from error


def write_config(source: Path, folder: Path, backend: str = "", scheme: str = "", options: Any = None) -> None:
    """The source's config with what was done to it: ``modelnook_quantization`` = backend, scheme, options."""
    said = config(source)
    said.pop("_name_or_path", None)
    said.pop("auto_map", None)
    if backend:
        said["modelnook_quantization"] = {"backend": backend, "scheme": scheme, **(options or {})}
    _write(folder / "config.json", said, indent=2)


def write_tokenizer(source: Path, folder: Path, tokenizer: Any, *, for_program: bool = False) -> None:
    """``tokenizer.json`` as transformers has it loaded, and the source's settings.

    Not a copy of the source's file: for some architectures transformers replaces parts of what that says, and the
    ``onnx`` runtime reads the file alone. Without the JSON's blanks, which are a third of a small vocabulary's file.

    Args:
        for_program: whether nobody will write the tokenizer anew: words that are read as others then stand in it.

    Raises:
        UnsupportedError: a tokenizer that only exists as Python code.
    """
    if not hasattr(tokenizer, "vocab_size"):
        # What prepares images or sounds is a file of settings.
        tokenizer.save_pretrained(folder)
        return
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise UnsupportedError("runtime.no_tokenizer", path=source, runtime="onnx")
    if not (source / "tokenizer_config.json").is_file():
        # A GGUF file holds its tokenizer.
        tokenizer.save_pretrained(folder)
    elif (source / CHAT_TEMPLATE).is_file():
        shutil.copyfile(source / CHAT_TEMPLATE, folder / CHAT_TEMPLATE)
    # Cutting and padding are each call's own; the loaded tokenizer may still hold those of its last one.
    with plain(tokenizer):
        said = json.loads(tokenizer.backend_tokenizer.to_str())
    _write(folder / "tokenizer.json", {**said, "truncation": None, "padding": None})
    write_near(folder, near_of(tokenizer))
    if for_program:
        fold(folder)
    settings = json_in(source / "tokenizer_config.json") or json_in(folder / "tokenizer_config.json")
    settings.pop("name_or_path", None)
    _write(folder / "tokenizer_config.json", settings, indent=2)


def _write(path: Path, data: dict[str, Any], indent: int | None = None) -> None:
    separators = None if indent else (",", ":")
    path.write_text(json.dumps(data, ensure_ascii=False, indent=indent, separators=separators), encoding="utf-8")
