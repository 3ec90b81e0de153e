"""Token classification, the heavy half: words and their sub-words, and long rows in windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from modelnook.tasks.classification_heavy import ClassificationTask
from modelnook.tasks.padding_heavy import IGNORE, pad, padded
from modelnook.tasks.spec import Columns
from modelnook.tasks.token_classification import TokenClassification
from modelnook.tasks.words import OUTSIDE, as_word, words_of

__all__ = ["TokenClassificationTask"]

NO_WORD = -1
SURE = 10.0
"""The logit of ``O`` for a word that the tokenizer has no token for, such as a lone control character."""


class TokenClassificationTask(ClassificationTask):
    """A head on every token; a word's first token speaks for it.

    A row that is longer than ``max_length`` is read in windows that overlap by a quarter; each word is trained and
    answered in the one where it has the most around it, so nothing is cut off.
    """

    spec = TokenClassification
    auto = "AutoModelForTokenClassification"
    cuts_vocabulary = True

    def load(self, path: str, **options: Any) -> tuple[Any, Any]:
        """See :meth:`Task.load` and :meth:`ClassificationTask.load_classifier`."""
        model = self.load_classifier(path)
        return model, self.processor_of(path, model.config)

    def encode(self, processor: Any, columns: Columns, max_length: int) -> dict[str, list[Any]]:
        """Windows: ``input_ids``, and ``words``, of each token the number in its row of the word that it speaks for.

        Tokens that speak for none have -1 there, and -100 in ``labels``. ``count`` is the words of the row.
        """
        rows: dict[str, list[Any]] = {"input_ids": [], "words": [], "owner": [], "count": []}
        places = [_read(cell) for cell in columns["tokens"]]
        for start in range(0, len(places), 1000):
            part = places[start : start + 1000]
            found = _windows(processor, [text for text, _ in part], max_length)
            for window, owner in zip(found.encodings, found["overflow_to_sample_mapping"], strict=True):
                # A tokenizer without special tokens gives none at all for a row without words.
                rows["input_ids"].append(window.ids or [processor.pad_token_id])
                rows["words"].append(_words(window, part[owner][1]) if window.ids else np.array([NO_WORD]))
                rows["owner"].append(start + owner)
                rows["count"].append(len(part[owner][1]))
        _divide(rows["words"], rows["owner"])
        if "ner_tags" in columns:
            truth = [np.append(tags, IGNORE) for tags in self.spec().truth(columns, self.labels)]
            rows["labels"] = [truth[owner][words] for owner, words in zip(rows["owner"], rows["words"], strict=True)]
        return rows

    def collate(self, processor: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """See :func:`~modelnook.tasks.padding_heavy.padded`; ``words`` and ``labels`` have the tokens' shape."""
        batch = padded(processor, rows, IGNORE)
        batch["words"] = pad(rows["words"], NO_WORD, left=processor.padding_side == "left")[0]
        return batch

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Mean cross entropy over the words, in float32 whatever the logits' precision."""
        logits = _logits(model, batch)
        total = F.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORE, reduction="sum")
        return torch.div(total, (batch["labels"] != IGNORE).sum().clamp(min=1))

    def weight(self, rows: dict[str, list[Any]]) -> float:
        """The words that have a tag."""
        return float(max(1, sum(int((np.asarray(row) != IGNORE).sum()) for row in rows["labels"])))

    def outputs(self, model: Any, batch: dict[str, Any]) -> Any:
        """A list over windows: the logits of the words that each speaks for, float32 of shape (words, tags)."""
        logits, speaks = _logits(model, batch).cpu().numpy(), (batch["words"] != NO_WORD).cpu().numpy()
        return [row[chosen] for row, chosen in zip(logits, speaks, strict=True)]

    def merge(self, rows: dict[str, list[Any]], outputs: Any) -> list[NDArray[np.float32]]:
        """The words' logits of each row, from its windows; shape (words, tags) each."""
        silent = np.zeros(len(self.labels), dtype=np.float32)
        if OUTSIDE in self.labels:
            silent[self.labels.index(OUTSIDE)] = SURE
        found: list[NDArray[np.float32]] = []
        for owner, count, words, logits in zip(rows["owner"], rows["count"], rows["words"], outputs, strict=True):
            if owner == len(found):
                found.append(np.tile(silent, (count, 1)))
            found[owner][words[words != NO_WORD]] = logits
        return found


def _logits(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    inputs = {name: value for name, value in batch.items() if name not in ("labels", "words")}
    logits: torch.Tensor = model(**inputs).logits
    return logits.float()


def _read(cell: Any) -> tuple[str, NDArray[np.int64]]:
    """A row as the model reads it, words with a blank between, and where each word ends."""
    if isinstance(cell, str) or cell is None:
        text, places = words_of(cell)
        words = [text[start:end] for start, end in places]
    else:
        words = [as_word(word) for word in cell]
    return " ".join(words), np.cumsum([len(word) + 1 for word in words], dtype=np.int64) - 1


def _windows(tokenizer: Any, texts: Sequence[str], max_length: int) -> Any:
    room = max_length - tokenizer.num_special_tokens_to_add()
    return tokenizer(
        list(texts),
        truncation=True,
        max_length=max_length,
        stride=max(0, min(room - 1, max_length // 4)),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )


def _words(window: Any, ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each token the word that it is the first one of in this window, else -1."""
    places = np.array(window.offsets, dtype=np.int64).reshape(-1, 2)
    real = (places[:, 1] > places[:, 0]) & (np.array(window.special_tokens_mask) == 0)
    # Some tokenizers count the blank before a word as its own: a token belongs to the word that it ends in.
    words = np.where(real, np.searchsorted(ends, places[:, 1], side="left"), NO_WORD)
    _, first = np.unique(words, return_index=True)
    alone = np.zeros(len(words), dtype=bool)
    alone[first] = True
    # Where a window begins inside of a word, the word's first token stands in the one before.
    inside = real & (places[:, 0] > np.concatenate([[0], ends + 1])[words])
    return np.where(alone & ~inside, words, NO_WORD)


def _divide(words: list[NDArray[np.int64]], owners: Sequence[int]) -> None:
    """Leave each word to the window in which it stands farthest from both ends; in place."""
    best: dict[int, tuple[int, int, int]] = {}
    last = -1
    for at, owner in enumerate(owners):
        if owner != last:
            best, last = {}, owner
        single = (at == 0 or owners[at - 1] != owner) and (at + 1 == len(owners) or owners[at + 1] != owner)
        if single:
            continue
        for place in np.flatnonzero(words[at] != NO_WORD).tolist():
            word = int(words[at][place])
            margin = min(place, len(words[at]) - 1 - place)
            if word in best and best[word][0] >= margin:
                words[at][place] = NO_WORD
                continue
            if word in best:
                _, window, where = best[word]
                words[window][where] = NO_WORD
            best[word] = (margin, at, place)
