"""What belongs together in a list: one model in several sources, and the variants of a model under it."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256

from modelnook.catalog.base import Query
from modelnook.domain.model import ModelInfo

__all__ = ["digest_of", "exactly", "grouped", "one_row_each"]

_WEIGHTS = ((".safetensors", ".gguf"), (".onnx", ".onnx.data"))
_COMMIT = re.compile(r"[0-9a-f]{40}")
# A fine-tune that is used this much beside its base is one that people look for by itself.
_ITS_OWN = 0.05
_DIVIDERS = dict.fromkeys(map(ord, string.punctuation + string.whitespace))


def exactly(info: ModelInfo, text: str) -> bool:
    """Whether the words are the entry's own name or id, however they are divided.

    >>> exactly(ModelInfo("hub:a/all-MiniLM-L6-v2", "a/all-MiniLM-L6-v2", "hub"), "all minilm l6 v2")
    True
    """
    said = _undivided(text)
    return bool(said) and said in (_undivided(info.id), _undivided(info.id.rpartition("/")[2]), _undivided(info.name))


@lru_cache(maxsize=1000)
def _undivided(name: str) -> str:
    return name.lower().translate(_DIVIDERS)


def digest_of(sums: Iterable[tuple[str, str]]) -> str | None:
    """One checksum over a model's weights (ONNX where it has no others): equal where the files are, by any name.

    Args:
        sums: ``(name, sha256 in hex)`` of its files; those without a sum are left out.

    >>> digest_of([("config.json", "12"), ("model.safetensors", "ab")]) == digest_of([("a.safetensors", "ab")])
    True
    """
    known = [(name, sha) for name, sha in sums if sha]
    found = ([sha for name, sha in known if name.endswith(endings)] for endings in _WEIGHTS)
    weights = sorted(next(filter(None, found), ()))
    return sha256(" ".join(weights).encode()).hexdigest() if weights else None


def one_row_each(infos: Iterable[ModelInfo]) -> list[ModelInfo]:
    """Entries of the same files become the first of them, which names the others (``also``)."""
    kept: list[ModelInfo] = []
    places: dict[str, list[int]] = {}
    for info in infos:
        # A list may leave the checksum out where an entry by itself has it.
        keys = [key for key in (info.digest, info.id.lower()) if key]
        held = sorted({at for key in keys for at in places.get(key, ())})
        at = next((at for at in held if _same(kept[at], info)), None)
        if at is None:
            for key in keys:
                places.setdefault(key, []).append(len(kept))
            kept.append(info)
        elif info.ref != kept[at].ref and info.ref not in kept[at].also:
            kept[at] = replace(kept[at], also=(*kept[at].also, info.ref))
    return kept


def _same(one: ModelInfo, other: ModelInfo) -> bool:
    """By the weights' checksums, else by the commit, else by id and size; a model made here by the first alone."""
    if one.source == other.source:
        return one.ref == other.ref
    if one.digest and other.digest:
        return one.digest == other.digest
    if "local" in (one.source, other.source):
        return False
    commits = [i.revision for i in (one, other) if i.revision and _COMMIT.fullmatch(i.revision)]
    if len(commits) == 2:
        return commits[0] == commits[1]
    return one.id.lower() == other.id.lower() and bool(one.parameters) and one.parameters == other.parameters


def grouped(infos: list[ModelInfo], query: Query) -> list[ModelInfo]:
    """Variants of a model that is in the list as well stand under it (``variants``), where the first of them stood.

    Not what was asked for by its own name, nor what a person made, nor a fine-tune that is well used by itself.
    """
    by_id = {info.id.lower(): info for info in reversed(infos)}
    heads: dict[str, list[str]] = {}
    for info in infos:
        head, line = info, {info.ref}
        # A quantized fine-tune stands under the first model of the line that is in the list.
        while (above := by_id.get((head.base_model or "").lower())) and _folds(head, above, query):
            if above.ref in line:
                head = info
                break
            head = above
            line.add(head.ref)
        under = heads.setdefault(head.ref, [])
        if head is not info:
            under.append(info.ref)
    by_ref = {info.ref: info for info in infos}
    return [replace(by_ref[ref], variants=tuple(under)) if under else by_ref[ref] for ref, under in heads.items()]


def _folds(info: ModelInfo, base: ModelInfo, query: Query) -> bool:
    if info.source == "local" or (query.text and exactly(info, query.text)):
        return False
    if info.relation in ("quantized", "adapter"):
        return True
    return (info.downloads or 0) < _ITS_OWN * (base.downloads or 0)
