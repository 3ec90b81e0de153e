"""What a GGUF file says of itself: its header's keys and its tensor list. No weights are read."""

from __future__ import annotations

import math
import mmap
import struct
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from modelnook.catalog.papers import every

__all__ = ["Header", "config_of", "parse_header", "read_header", "said_by", "tokens_of"]

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_EMBEDS = ("bert", "nomic-bert", "jina-bert-v2", "gemma-embedding")

_STRING, _ARRAY = 8, 9
_DIMENSIONS = 8
_KEPT = 64
"""Longer lists (a vocabulary has tens of thousands of words) are walked over and not kept."""
_MOST_TOKENS = 1_000_000

# ggml's numbers of the types that files are made of.
_DTYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    20: "IQ4_NL",
    23: "IQ4_XS",
    30: "BF16",
}


@dataclass(frozen=True, slots=True)
class Header:
    """``keys``: metadata such as ``general.architecture``; ``tensors``: (name, dtype, shape) with rows first."""

    keys: dict[str, Any] = field(default_factory=dict)
    tensors: list[tuple[str, str, tuple[int, ...]]] = field(default_factory=list)

    def text(self, key: str) -> str | None:
        """A key's value where it is a text."""
        value = self.keys.get(key)
        return value if isinstance(value, str) and value else None


class _Cursor:
    def __init__(self, data: mmap.mmap | bytes, kept: int = _KEPT) -> None:
        self.data, self.at, self.kept = data, 0, kept

    def take(self, form: str) -> Any:
        (value,) = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return value

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self.data):
            raise ValueError("cut off")

    def string(self) -> str:
        size = self.take("Q")
        start = self.at
        self.skip(size)
        return self.data[start : self.at].decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.take(_SCALARS[kind])
        inner, count = self.take("I"), self.take("Q")
        if count <= self.kept:
            return [self.value(inner) for _ in range(count)]
        if inner in _SCALARS:
            self.skip(count * struct.calcsize("<" + _SCALARS[inner]))
        elif inner == _STRING:
            for _ in range(count):
                self.skip(self.take("Q"))
        else:
            raise ValueError("a long list of lists")
        return None


def read_header(path: Path) -> Header:
    """A file's header; empty where it is damaged, cut off or of version 1."""
    try:
        said = path.stat()
        return _read(path, (said.st_ino, said.st_size, said.st_mtime_ns))
    except (OSError, ValueError):
        return Header()


@lru_cache(maxsize=8)
def _read(path: Path, state: tuple[int, ...]) -> Header:
    """Once for each state of a file: its vocabulary is walked over, 50,000 words in 20 ms, and a model is asked for its
    entry, configuration, tensors and chat template one after another.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return parse_header(data) or Header()


def tokens_of(path: Path) -> list[str]:
    """A file's vocabulary in the order of ids; nothing where it has none or is damaged."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            header = parse_header(data, kept=_MOST_TOKENS) or Header()
    except (OSError, ValueError):
        return []
    found = header.keys.get("tokenizer.ggml.tokens")
    return [token for token in found if isinstance(token, str)] if isinstance(found, list) else []


def parse_header(data: mmap.mmap | bytes, kept: int = _KEPT) -> Header | None:
    """The header at the start of some bytes; None where they end before it does, are damaged, or of version 1.

    Lists of more than ``kept`` values are None.
    """
    try:
        if data[:4] != b"GGUF":
            return None
        cursor = _Cursor(data, kept)
        cursor.skip(4)
        if cursor.take("I") < 2:  # version 1 has lengths of another size
            return None
        tensors, keys = cursor.take("Q"), cursor.take("Q")
        header = Header()
        for _ in range(keys):
            name = cursor.string()
            header.keys[name] = cursor.value(cursor.take("I"))
        for _ in range(tensors):
            name = cursor.string()
            dimensions = cursor.take("I")
            if dimensions > _DIMENSIONS:
                return None
            shape = tuple(cursor.take("Q") for _ in range(dimensions))
            kind = cursor.take("I")
            cursor.skip(8)
            header.tensors.append((name, _DTYPES.get(kind, str(kind)), shape[::-1]))
        return header
    except (ValueError, KeyError, struct.error, RecursionError):
        return None


def task_of(architecture: str | None) -> str | None:
    """The task of a file by its architecture; a bare encoder embeds."""
    if architecture is None:
        return None
    return "feature-extraction" if architecture in _EMBEDS else "text-generation"


def config_of(header: Header) -> dict[str, Any]:
    """What a ``config.json`` would say, as far as the header knows it: kind, task, longest text."""
    architecture = header.text("general.architecture")
    if architecture is None:
        return {}
    task = task_of(architecture)
    said = {
        "model_type": architecture,
        "modelnook_task": task if task != "feature-extraction" else None,
        "max_position_embeddings": header.keys.get(f"{architecture}.context_length"),
        "pad_token_id": header.keys.get("tokenizer.ggml.padding_token_id"),
    }
    return {name: value for name, value in said.items() if value is not None}


def said_by(header: Header) -> dict[str, Any]:
    """The part of a catalogue entry that a file tells."""
    architecture = header.text("general.architecture")
    languages = header.keys.get("general.languages")
    dtypes = Counter(dtype for _, dtype, _ in header.tensors)
    return {
        "task": task_of(architecture),
        "license": (header.text("general.license") or "").lower() or None,
        "language": every(languages),
        "parameters": sum(math.prod(shape) for _, _, shape in header.tensors) or None,
        "architecture": architecture,
        "base_model": header.text("general.base_model.0.name"),
        "tags": tuple(f"dtype:{dtype.lower()}" for dtype, _ in dtypes.most_common(2)),
    }
