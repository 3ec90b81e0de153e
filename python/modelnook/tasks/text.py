"""Texts to token ids, quickly: long texts are cut before they are tokenised where that can't change the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["as_line", "as_text", "encode_pairs", "encode_texts", "read_texts"]

CHARS_A_TOKEN = 12
"""So many characters a token are read at first; texts of longer tokens are read again as a whole."""

SLACK = 256
"""Characters before a prefix's cut end whose tokens are not trusted."""


PROBED = 4
"""Texts by which a tokenizer is compared with its backend."""


def as_text(value: Any) -> str:
    """A cell as text: empty where it is missing."""
    if isinstance(value, str):
        return value
    return "" if value is None or value != value else str(value)


def as_line(value: Any) -> str:
    """As :func:`as_text`; of a list its members, one after another."""
    return " ".join(map(as_line, value)) if isinstance(value, (list, tuple)) else as_text(value)


def encode_texts(tokenizer: Any, texts: Sequence[Any], max_length: int) -> list[list[int]]:
    """Token ids of each text with special tokens, at most ``max_length`` long, unpadded."""
    whole = [as_text(text) for text in texts]
    if not whole:
        return []
    # Tells the backend where to cut, and us whether this tokenizer's class does more than its backend.
    probe = [text[: CHARS_A_TOKEN * max_length] for text in whole[:PROBED]]
    said = _encode(tokenizer, probe, max_length)["input_ids"]
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or [found.ids for found in backend.encode_batch_fast(probe)] != said:
        return _encode(tokenizer, whole, max_length)["input_ids"]  # type: ignore[no-any-return]
    return [found.ids for found in read_texts(backend, whole, max_length)]


def read_texts(backend: Any, texts: Sequence[str], max_length: int) -> list[Any]:
    """The encodings of a ``tokenizers.Tokenizer`` that cuts at ``max_length``; only long texts have places in theirs.

    It reads a whole text before it truncates: of a 1 MB mail, 99% of the work is thrown away. So a prefix is read, and
    the whole text only where the last token kept comes near the prefix's end.
    """
    cut = CHARS_A_TOKEN * max_length + SLACK
    read = list(backend.encode_batch_fast([text if len(text) <= cut else "" for text in texts]))
    long = [i for i, text in enumerate(texts) if len(text) > cut]
    for i, found in zip(long, backend.encode_batch([texts[i][:cut] for i in long]), strict=True):
        enough = len(found.ids) >= max_length and _end(found) <= cut - SLACK
        read[i] = found if enough else backend.encode(texts[i])
    return read


def encode_pairs(
    tokenizer: Any, texts: Sequence[Any], pairs: Sequence[Any], max_length: int
) -> dict[str, list[list[int]]]:
    """``input_ids`` of both texts in one, the longer cut first; ``token_type_ids`` where the model has them."""
    if not len(texts):
        return {"input_ids": []}
    kinds = "token_type_ids" in tokenizer.model_input_names
    found = tokenizer(
        [as_text(text) for text in texts],
        [as_text(text) for text in pairs],
        truncation=True,
        max_length=max_length,
        return_attention_mask=False,
        return_token_type_ids=kinds,
        verbose=False,
    )
    names = ("input_ids", "token_type_ids") if kinds else ("input_ids",)
    return {name: found[name] for name in names}


def _end(encoding: Any) -> int:
    """Where in its text an encoding's last token ends, in characters."""
    return max((end for _, end in encoding.offsets), default=0)


def _encode(tokenizer: Any, texts: list[str], max_length: int) -> Any:
    return tokenizer(
        texts,
        truncation=True,
        max_length=max_length,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
