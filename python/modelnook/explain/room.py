"""How much of its texts a model reads, in characters: what lies behind that is no part of its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from modelnook.classic.tfidf import Tfidf
from modelnook.classic.words import MOST_CHARS
from modelnook.runtime.base import Runtime

__all__ = ["Reads", "reads_of"]

Reads = Callable[[Sequence[str]], list[int]]
"""The texts of one input -> how many characters of each are read."""


def reads_of(runtime: Runtime) -> Reads:
    """That of a model: by its own tokenizer where it has one; all where it can't be told.

    Of a pair that is too long the longer text is cut until both are alike, as tokenizers do it.
    """
    file = runtime.path / "tokenizer.json"
    if isinstance(getattr(runtime, "model", None), Tfidf):
        return _joined
    if not runtime.max_length or not file.is_file():
        return lambda texts: [len(text) for text in texts]
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()

    def by_tokens(texts: Sequence[str]) -> list[int]:
        room = runtime.max_length - tokenizer.num_special_tokens_to_add(len(texts) > 1)
        found = [tokenizer.encode(text, add_special_tokens=False).offsets for text in texts]
        places = [room]
        if len(found) > 1:
            first, second = (len(offsets) for offsets in found)
            places = [max(room - second, room // 2), max(room - first, room - room // 2)]
        return [
            offsets[most - 1][1] if len(offsets) > most > 0 else len(text)
            for text, offsets, most in zip(texts, found, places, strict=True)
        ]

    return by_tokens


def _joined(texts: Sequence[str]) -> list[int]:
    """TF-IDF reads all texts as one, with a blank between."""
    found, left = [], MOST_CHARS
    for text in texts:
        found.append(max(0, min(len(text), left)))
        left -= len(text) + 1
    return found
