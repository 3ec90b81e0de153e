"""Words that were cut from a vocabulary and are read as the nearest that stayed, see :mod:`modelnook.shrink.trim`.

Several words with one number are something that the package ``tokenizers`` reads and doesn't write: it keeps any one of
them, which may not be the word that was learnt. So they stand in a file beside ``tokenizer.json``; a tool that doesn't
know the file divides these words into the pieces that stayed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["NEAR", "add_near", "fold", "near_in", "near_of", "plain", "save_processor", "tokenizer_in", "write_near"]

NEAR = "near_tokens.json"
"""Token that was cut -> the number of the one that it is read as."""


def near_in(folder: Path) -> dict[str, int]:
    """What the folder's file says; empty where there is none."""
    try:
        said = json.loads((folder / NEAR).read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(said, dict):
        return {}
    return {token: number for token, number in said.items() if type(number) is int and number >= 0}


def write_near(folder: Path, near: dict[str, int]) -> None:
    """Write the file, where there is anything to say."""
    if near:
        text = json.dumps(near, ensure_ascii=False, separators=(",", ":"))
        (folder / NEAR).write_text(text, encoding="utf-8")


def fold(folder: Path) -> None:
    """Put the words of the folder's file into its ``tokenizer.json``, for tools that don't know the file."""
    near = near_in(folder)
    if not near:
        return
    file = folder / "tokenizer.json"
    said = json.loads(file.read_bytes())
    said["model"]["vocab"] = {**near, **said["model"]["vocab"]}
    file.write_text(json.dumps(said, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    (folder / NEAR).unlink()


def tokenizer_in(folder: Path) -> Any:
    """The ``tokenizers.Tokenizer`` of the folder's ``tokenizer.json``, which reads these words."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    near = near_in(folder)
    return _reading(backend, near)[0] if near else backend


def add_near(tokenizer: Any, near: dict[str, int]) -> None:
    """Let a tokenizer of transformers read the words; whatever writes it has to ask for it :func:`plain`."""
    backend = tokenizer.backend_tokenizer
    whole, near = _reading(backend, near)
    tokenizer.modelnook_near = (near, backend)
    tokenizer._tokenizer = whole


def _reading(backend: Any, near: dict[str, int]) -> tuple[Any, dict[str, int]]:
    """A tokenizer that reads the words, and those of them that it can."""
    said = json.loads(backend.to_str())
    known = said["model"].get("vocab")
    if not isinstance(known, dict):
        return backend, {}
    # A number that there isn't would be looked up beyond the end of the model's table.
    near = {token: number for token, number in near.items() if token not in known and number < len(known)}
    said["model"]["vocab"] = {**known, **near}
    return type(backend).from_str(json.dumps(said)), near


def near_of(tokenizer: Any) -> dict[str, int]:
    """The words that :func:`add_near` added."""
    found: dict[str, int] = getattr(tokenizer, "modelnook_near", ({}, None))[0]
    return found


@contextmanager
def plain(tokenizer: Any) -> Iterator[None]:
    """Within it the tokenizer is without these words, and can be written."""
    if not near_of(tokenizer):
        yield
        return
    whole, tokenizer._tokenizer = tokenizer._tokenizer, tokenizer.modelnook_near[1]
    try:
        yield
    finally:
        tokenizer._tokenizer = whole


def save_processor(processor: Any, folder: Path) -> None:
    """What prepares a model's inputs, as transformers writes it, and these words beside it."""
    with plain(processor):
        processor.save_pretrained(folder)
    write_near(folder, near_of(processor))
