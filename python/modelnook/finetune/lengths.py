"""How long a person's rows are for a model: by a sample of them, in its own tokens. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelnook.runtime import folder
from modelnook.tasks.heads import room_to_write
from modelnook.tasks.near import tokenizer_in
from modelnook.tasks.spec import Columns, Spec
from modelnook.tasks.text import as_text

__all__ = ["Lengths", "lengths_for", "measure_lengths"]

SAMPLE = 2000
"""Texts that are tokenised to learn the lengths."""

CHARS = 20_000
"""Characters of a text that count towards its length: a 1 MB row says nothing more."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Token counts of a sample of texts (special tokens included), ascending; ``unknown`` is the share of [UNK].

    ``whole`` rows, images and sounds, are never cut; their counts are what they are inside the model. ``seen`` is how
    many different tokens the sample has; 0 where that isn't known.

    ``written`` are the counts of texts that a model is to write, each cut to ``longer`` times the length of what is
    read, and to ``room`` at most.
    """

    counts: tuple[int, ...]
    unknown: float
    limit: int
    whole: bool = False
    seen: int = 0
    written: tuple[int, ...] = ()
    longer: int = 1
    room: int | None = None

    def words(self, rows: int) -> int:
        """How many different tokens so many rows have: with their number it grows as a root (Heaps' law)."""
        return round(self.seen * math.sqrt(max(1.0, rows / len(self.counts))))

    def at(self, share: float) -> int:
        """The length at which this share of the texts is whole, of those read and of those written."""
        read = _at(self.counts, share)
        if not self.written:
            return read
        wanted = _at(self.written, share)
        return max(read, math.ceil(min(wanted, self.room or wanted) / self.longer))

    def answer(self, max_length: int) -> int:
        """Tokens to which what is written is cut."""
        longest = self.longer * max_length
        return min(longest, self.room or longest)

    def lost(self, max_length: int) -> float:
        """The share of all tokens that truncation cuts off."""
        answer = self.answer(max_length)
        over = sum(max(0, n - max_length) for n in self.counts) + sum(max(0, n - answer) for n in self.written)
        return over / max(1, sum(self.counts) + sum(self.written))

    def mean(self, max_length: int) -> float:
        """Tokens of a row after truncation: of what is read or of what is written, whichever are more."""
        return max(_mean(self.counts, max_length), _mean(self.written, self.answer(max_length)))

    def longest(self, max_length: int) -> int:
        """As :meth:`mean`, of the longest row."""
        return max(min(max_length, self.counts[-1]), min(self.answer(max_length), max(self.written, default=0)))

    def parts(self, max_length: int) -> float:
        """In how many parts a row is read where none is cut off; parts that overlap are a few more."""
        return sum(max(1, math.ceil(n / max_length)) for n in self.counts) / len(self.counts)


def measure_lengths(model_path: Path, texts: Sequence[Any]) -> Lengths:
    """How long texts are in this model's tokens, by up to 2,000 of them spread over the table.

    Reads the folder's tokenizer.json with the package ``tokenizers``; without either it counts a token every four
    characters (one a CJK character).
    """
    taken = min(len(texts), SAMPLE)
    sample = [as_text(texts[at * len(texts) // taken])[:CHARS] for at in range(taken)]
    limit = folder.limit(model_path)
    file = model_path / "tokenizer.json"
    if not file.is_file():
        return _guess(sample, limit)
    try:
        tokenizer = tokenizer_in(model_path)
    except ImportError:
        return _guess(sample, limit)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return _count(tokenizer.encode_batch_fast(sample), _unknown_id(tokenizer, file), limit)


def lengths_for(spec: Spec, model_path: Path, columns: Columns) -> Lengths:
    """How long rows are for this model."""
    texts = spec.pieces(columns)
    if texts is None:
        return _whole(spec, model_path, columns)
    read, written = measure_lengths(model_path, texts), spec.written(columns)
    if not written:
        return read
    counts, room = measure_lengths(model_path, written).counts, room_to_write(folder.config(model_path))
    return replace(read, written=counts, longer=spec.longer, room=room)


def _at(counts: Sequence[int], share: float) -> int:
    return counts[min(len(counts) - 1, math.ceil(share * len(counts)) - 1)]


def _mean(counts: Sequence[int], longest: int) -> float:
    return sum(min(n, longest) for n in counts) / max(1, len(counts))


def _whole(spec: Spec, model_path: Path, columns: Columns) -> Lengths:
    sizes = sorted(spec.sizes(folder.config(model_path), columns))
    return Lengths(tuple(sizes), 0.0, sizes[-1], whole=True)


def _unknown_id(tokenizer: Any, file: Path) -> int | None:
    if hasattr(tokenizer.model, "unk_token"):
        token = tokenizer.model.unk_token
        found = tokenizer.token_to_id(token) if token is not None else None
    else:
        # Unigram doesn't tell. To read a file of a large vocabulary takes a tenth of a second.
        found = json.loads(file.read_text(encoding="utf-8")).get("model", {}).get("unk_id")
    return int(found) if found is not None else None


def _count(encodings: list[Any], unknown_id: int | None, limit: int) -> Lengths:
    counts = sorted(len(e.ids) for e in encodings)
    seen = len({token for e in encodings for token in e.ids})
    if unknown_id is None:
        return Lengths(tuple(counts), 0.0, limit, seen=seen)
    special = sum(sum(e.special_tokens_mask) for e in encodings)
    unknown = sum(e.ids.count(unknown_id) for e in encodings)
    return Lengths(tuple(counts), unknown / max(1, sum(counts) - special), limit, seen=seen)


def _guess(sample: list[str], limit: int) -> Lengths:
    def tokens(text: str) -> int:
        wide = sum(ord(c) > 0x2E80 for c in text)
        return 2 + wide + (len(text) - wide) // 4

    return Lengths(tuple(sorted(map(tokens, sample))), 0.0, limit)
