"""Texts to compare a model with its changed self on where a person gives none: its own card's, and its vocabulary's.

Sentences of the card come first, as they are what the model is meant to read; the rest is drawn from the whole words of
its vocabulary, in lengths from a few words to some dozens. Nobody labelled them: only agreement can be measured.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelnook.catalog.gguf import tokens_of
from modelnook.catalog.papers import json_in
from modelnook.domain.errors import DataError
from modelnook.tasks.spec import Spec

__all__ = ["own_columns", "own_texts"]

COUNT = 400
# A writer is scored by its tokens, of which each text has dozens, and takes as long for each.
COUNT_BY_TOKENS = 100
SEED = 11
LENGTHS = (3, 40)
# Roles whose cells are a text; the words of "tokens" are one that was split.
_TEXTS = frozenset(("context", "prompt", "question", "source", "text", "text_pair", "tokens"))
# How tokenizers mark a piece that begins a word (byte-level BPE, SentencePiece); WordPiece marks the others.
_BYTES = "Ġ"
_BEGINS = ("▁", " ")
_WORD = re.compile(r"[^\W\d_]{2,}")
_IDEOGRAPH = re.compile(r"[\u3400-\u9fff]")
_IDEOGRAPHS = re.compile(r"[\u3400-\u9fff]+")


def own_columns(
    spec: Spec, folder: Path, count: int | None = None, also: Sequence[str] | None = None
) -> dict[str, list[Any]]:
    """Role -> ``count`` values for a model's task, without targets.

    Args:
        count: 400 unless told, and 100 where the tokens of a text are scored.
        also: texts that stand before the model's own, to compare answers on alone: rows that a model can't be scored
            by will do then.

    Raises:
        DataError: a task of other than texts, or a model without a vocabulary that can be read.
    """
    scored = [form for form in spec.shapes() if not set(form) & set(spec.targets)]
    forms = (*scored, *(spec.shapes(asked=True) if not scored or also is not None else ()))
    roles = next((form for form in forms if set(form) <= _TEXTS), None)
    wanted = (count or (COUNT_BY_TOKENS if spec.scores_texts else COUNT)) * len(roles or ())
    given = list(also or ())
    texts = [*given, *own_texts(folder, max(0, wanted - len(given)))][:wanted]
    if not roles or not texts:
        raise DataError("quantize.own_texts_not", task=spec.name)
    columns: dict[str, list[Any]] = {role: texts[at :: len(roles)] for at, role in enumerate(roles)}
    if "tokens" in columns:
        columns["tokens"] = [text.split() or [text] for text in columns["tokens"]]
    return columns


def own_texts(folder: Path, count: int = COUNT) -> list[str]:
    """``count`` texts, the same for the same folder; fewer or none where card and vocabulary hold too little."""
    said = _sentences(folder / "README.md")[:count]
    words = _words(folder)
    if len(words) < 2:
        return said
    rng = random.Random(SEED)
    # Scripts without blanks: one token is one character.
    joint = "" if sum(bool(_IDEOGRAPH.search(word)) for word in words) > len(words) / 2 else " "
    drawn = (joint.join(rng.choices(words, k=rng.randint(*LENGTHS))) for _ in range(count - len(said)))
    return [*said, *drawn]


def _sentences(card: Path) -> list[str]:
    """The prose of a card: no front matter, code, tables, headings or addresses."""
    try:
        text = card.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines = [line.strip() for line in text.splitlines() if not line.lstrip().startswith(("#", "|", "<", "!"))]
    prose = re.sub(r"\[([^\]]*)\]\([^)]*\)|https?://\S+|[*_`>]", r"\1", "\n".join(lines))
    found = (part.strip(" -\n") for part in re.split(r"(?<=[.!?。！？])\s+|\n\s*\n|\n-", prose))
    return list(dict.fromkeys(" ".join(part.split()) for part in found if len(_WORD.findall(part)) >= 3))


def _words(folder: Path) -> list[str]:
    """The whole words of a fast tokenizer's or a GGUF file's vocabulary, in the order of their ids."""
    said = json_in(folder / "tokenizer.json").get("model") or {}
    vocabulary = said.get("vocab") or {}
    pieces = list(vocabulary) if isinstance(vocabulary, dict) else [str(entry[0]) for entry in vocabulary]
    pieces = pieces or [piece for file in sorted(folder.glob("*.gguf"))[:1] for piece in tokens_of(file)]
    # Byte-level pieces have a letter for each byte, and most begin with a blank's; elsewhere that is Maltese.
    if 100 * sum(piece.startswith(_BYTES) for piece in pieces) > len(pieces):
        pieces = [_decoded(piece) for piece in pieces]
    if any(piece.startswith(_BEGINS) for piece in pieces):
        # A script without blanks has words that nothing marks.
        pieces = [piece.lstrip("".join(_BEGINS)) for piece in pieces if piece.startswith(_BEGINS) or _joint(piece)]
    return [piece for piece in dict.fromkeys(pieces) if _WORD.fullmatch(piece) or _joint(piece)]


def _joint(piece: str) -> bool:
    return bool(_IDEOGRAPHS.fullmatch(piece))


def _letters() -> dict[str, int]:
    """Letter -> byte of byte-level BPE: bytes that can be seen stand for themselves, the others for letters from 256 on
    (``bytes_to_unicode`` of GPT-2).
    """
    seen = (*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1))
    others = (byte for byte in range(256) if byte not in seen)
    return {**{chr(byte): byte for byte in seen}, **{chr(256 + at): byte for at, byte in enumerate(others)}}


def _decoded(piece: str) -> str:
    """A byte-level piece as its text; "" where its bytes are a part of a character, or it is none such."""
    try:
        return bytes(_LETTERS[letter] for letter in piece).decode()
    except (KeyError, UnicodeDecodeError):
        return ""


_LETTERS = _letters()
