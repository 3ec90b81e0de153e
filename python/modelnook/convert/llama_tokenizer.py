"""What llama.cpp has to know of a tokenizer and its converter doesn't find in a ``tokenizer.json``.

- How texts are divided before bytes are merged (``tokenizer.ggml.pre``): the converter knows it by the numbers that a
  tokenizer gives for one text. A trimmed vocabulary has other numbers and the same rule: it keeps the original's
  numbers for that text, and the converter is given those.
- In which order SentencePiece's tokens are made: llama.cpp goes by scores, which stand in a ``tokenizer.model`` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelnook.catalog.papers import json_in

__all__ = ["KEY", "PROBED", "as_original", "probe_of", "scores"]

KEY = "modelnook_llama_probe"
"""In ``tokenizer_config.json``: the original's numbers for :data:`PROBED`, with blanks between them."""

PROBED = (
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫️ (multiple emojis concatenated) ✅ 🦙🦙 "
    "3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 កាន់តែពិសេសអាច😁 ?我想在apple工作1314151天～ "
    "------======= нещо на Български ''''''```````\"\"\"\"......!!!!!!?????? I've been 'told he's there, 'RE you sure? "
    "'M not sure I'll make it, 'D you like some tea? We'Ve a'lL"
)
"""The converter's text."""


def probe_of(tokenizer: Any, said: Mapping[str, Any]) -> str | None:
    """What a trimmed tokenizer is to keep under :data:`KEY`; None where llama.cpp has no such rule for its kind.

    Args:
        tokenizer: as it is before it is trimmed.
        said: its JSON.
    """
    if said["model"].get("type") != "BPE" or said["model"].get("byte_fallback"):
        return None
    # What was trimmed before has its first original's.
    kept: str | None = tokenizer.init_kwargs.get(KEY)
    return kept or " ".join(map(str, tokenizer.encode(PROBED)))


def as_original(folder: Path, known: Callable[[Any], str]) -> Callable[[Any], str]:
    """The converter's ``get_vocab_base_pre``, which for the tokenizer in ``folder`` is told what its original gave."""
    kept = json_in(folder / "tokenizer_config.json").get(KEY)
    if not isinstance(kept, str):
        return known
    return lambda tokenizer: known(_Original(tokenizer, kept))


class _Original:
    def __init__(self, tokenizer: Any, kept: str) -> None:
        self.tokenizer, self.kept = tokenizer, kept

    def encode(self, text: str) -> list[int]:
        """The numbers that were kept; a converter with another text must find its answer by itself."""
        if text == PROBED:
            return [int(number) for number in self.kept.split()]
        return list(self.tokenizer.encode(text))


def scores(said: Mapping[str, Any], given: Sequence[float]) -> list[float]:
    """The tokens' scores where the converter has ``given`` them all the same one: a merge learnt earlier has a higher.

    Args:
        said: a tokenizer's JSON.
    """
    model = said["model"]
    if model.get("type") != "BPE" or len(set(given)) > 1:
        return list(given)
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    made: dict[str, int] = {}
    for rank, pair in enumerate(pairs):
        made.setdefault("".join(pair), rank)
    names = {number: token for token, number in model["vocab"].items()}
    return [-float(made.get(names.get(at, ""), len(model["merges"]))) for at in range(len(given))]
