"""Masked language modelling, the heavy half: encoders, with the output layer that they have or a new one."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from modelnook.domain.errors import DataError, UnsupportedError
from modelnook.tasks.answered import answered
from modelnook.tasks.base import Task
from modelnook.tasks.fill_mask import FillMask
from modelnook.tasks.language_modelling_heavy import Head, foretold, mean_loss
from modelnook.tasks.padding_heavy import IGNORE, padded
from modelnook.tasks.pretrained_heavy import load_config, load_model, load_tokenizer
from modelnook.tasks.spec import Columns
from modelnook.tasks.text import as_text

__all__ = ["SHARE", "FillMaskTask"]

SHARE = FillMask.output_share
"""Tokens that are hidden (Devlin et al. 2019, section 3.1): of ten, eight by the mask, one by any token, one not."""

MASKED, OTHER = 0.8, 0.9
TOP = 5
BATCH = 32


class FillMaskTask(Task):
    """A masked-language-modelling head; where the base model has none, one is made, and trained in full."""

    spec = FillMask

    def load(self, path: str, **options: Any) -> tuple[Any, Any]:
        """See :meth:`Task.load`; a tokenizer without a mask is refused, and so is an encoder with a decoder."""
        config = load_config(path)
        if config.is_encoder_decoder:
            kinds = getattr(config, "architectures", None) or [config.model_type]
            raise UnsupportedError("task.no_masked", architecture=kinds[0], task=self.spec.name)
        model = load_model(path, config, "AutoModelForMaskedLM", self.spec.name, no_head="task.no_masked")
        tokenizer = load_tokenizer(path, near=False)
        if tokenizer.mask_token_id is None:
            raise UnsupportedError("task.no_masked", architecture=type(model).__name__, task=self.spec.name)
        self.new_head = bool(model.made_anew)
        self.head = Head(model)
        self.mask = int(tokenizer.mask_token_id)
        self.special = torch.tensor(sorted(tokenizer.all_special_ids))
        self.tokenizer = tokenizer
        return model, tokenizer

    @cached_property
    def codes(self) -> Any:
        """A number for each token, by its name: uint32 of shape (vocabulary,)."""
        names = self.tokenizer.convert_ids_to_tokens(range(len(self.tokenizer)))
        return np.array([zlib.crc32((name or "").encode()) for name in names], dtype="<u4")

    def encode(self, processor: Any, columns: Columns, max_length: int) -> dict[str, list[Any]]:
        """``input_ids`` of at most ``max_length``, with special tokens; ``owner``, the row that each is a part of."""
        texts = [as_text(text) for text in columns["text"]]
        if not texts:
            return {"input_ids": [], "owner": []}
        found = processor(
            texts,
            truncation=True,
            max_length=max_length,
            return_overflowing_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        return {"input_ids": found["input_ids"], "owner": list(found["overflow_to_sample_mapping"])}

    def collate(self, processor: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """See :func:`~modelnook.tasks.padding_heavy.padded`; ``free`` is where a token may be hidden."""
        batch = padded(processor, rows)
        batch["free"] = ~torch.isin(batch["input_ids"], self.special)
        return batch

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Mean cross entropy of hidden tokens, which torch's generator chooses: a checkpoint holds its state."""
        ids, free = batch["input_ids"], batch["free"]
        chosen, kind = (torch.rand(ids.shape, device=ids.device) for _ in range(2))
        other = torch.randint(model.config.vocab_size, ids.shape, device=ids.device)
        return mean_loss(self.head, model, *self._hidden(batch, free, chosen, kind, other))

    def outputs(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """See :class:`~modelnook.tasks.text_generation.LanguageModelling`; a row's tokens decide what is hidden.

        By their names, and another token is one of the row: a model whose tokens have other numbers is asked the same.
        """
        ids, free = batch["input_ids"].cpu(), batch["free"].cpu()
        drawn, others = np.zeros((2, *ids.shape)), ids.numpy().copy()
        for row, (tokens, there) in enumerate(zip(ids.numpy(), free.numpy(), strict=True)):
            own = tokens[there]
            random = np.random.default_rng(zlib.crc32(self.codes[own].tobytes()))
            drawn[:, row, there] = random.random((2, len(own)))
            others[row, there] = random.permutation(own)
        chosen, kind, other = (torch.from_numpy(values).to(batch["input_ids"].device) for values in (*drawn, others))
        return foretold(self.head, model, *self._hidden(batch, batch["free"], chosen, kind, other))

    def _hidden(
        self, batch: dict[str, Any], free: torch.Tensor, chosen: torch.Tensor, kind: torch.Tensor, other: torch.Tensor
    ) -> tuple[dict[str, Any], torch.Tensor]:
        """``(inputs, labels)``: of each row its share of free tokens is hidden, those of the highest ``chosen``.

        Args:
            chosen, kind: numbers from 0 to 1 of shape (rows, tokens).
            other: what stands where a token is replaced by any other.
        """
        ids = batch["input_ids"]
        rank = chosen.masked_fill(~free, -1).argsort(dim=1, descending=True).argsort(dim=1)
        hidden = (rank < _count(free.sum(dim=1))[:, None]) & free
        seen = torch.where(hidden & (kind < MASKED), self.mask, ids)
        seen = torch.where(hidden & (kind >= MASKED) & (kind < OTHER), other, seen)
        rest = {name: value for name, value in batch.items() if name not in ("input_ids", "free")}
        return {"input_ids": seen, **rest}, ids.masked_fill(~hidden, IGNORE)

    def merge(self, rows: dict[str, list[Any]], outputs: Any) -> Any:
        """The sums over the parts of each row, and the likeliest tokens of its first part."""
        values, owner = np.asarray(outputs, dtype=np.float32), np.array(rows["owner"], dtype=np.int64)
        _, first = np.unique(owner, return_index=True)
        found = values[first] if len(owner) else np.empty((0, 2), dtype=np.float32)
        found[:, :2] = 0
        np.add.at(found[:, :2], owner, values[:, :2])
        return found

    def weight(self, rows: dict[str, list[Any]]) -> float:
        """The tokens that are hidden."""
        special = set(self.special.tolist())
        free = torch.tensor([sum(token not in special for token in ids) for ids in rows["input_ids"]])
        return float(max(1, int(_count(free).sum())))

    def answer(self, model: Any, processor: Any, rows: Sequence[Any], **options: Any) -> list[dict[str, Any]]:
        """The likeliest word for the mask of each text, and the five likeliest with their shares.

        Raises:
            DataError: a text without the mask, or with several; the row is named.
        """
        limit = int(options.get("max_length") or 512)
        size = BATCH if options.get("batch_size", "auto") == "auto" else int(options["batch_size"])
        encoded = self.encode(processor, self.spec().as_columns(rows), limit)
        self._require_one(processor, encoded, len(rows))
        parts = [ids for ids in encoded["input_ids"] if self.mask in ids]
        found: list[dict[str, Any]] = []
        for start in range(0, len(parts), size):
            batch = padded(processor, {"input_ids": parts[start : start + size]})
            batch = {name: value.to(model.device) for name, value in batch.items()}
            with torch.inference_mode():
                head, values = self.head.logits(model, batch, batch["input_ids"] == self.mask)
                shares, tokens = head(values).float().softmax(dim=1).topk(TOP, dim=1)
            found += [_answer(processor, *row) for row in zip(tokens.tolist(), shares.tolist(), strict=True)]
            answered(len(shares))
        return found

    def _require_one(self, processor: Any, encoded: dict[str, list[Any]], rows: int) -> None:
        masks = [0] * rows
        for owner, ids in zip(encoded["owner"], encoded["input_ids"], strict=True):
            masks[owner] += ids.count(self.mask)
        odd = next((row for row, count in enumerate(masks) if count != 1), None)
        if odd is not None:
            raise DataError("task.masks", row=odd, count=masks[odd], mask=processor.mask_token)


def _count(free: torch.Tensor) -> torch.Tensor:
    """How many of so many tokens are hidden: one at least."""
    return torch.minimum(free, (SHARE * free).round().clamp(min=1).long())


def _answer(processor: Any, tokens: list[int], shares: list[float]) -> dict[str, Any]:
    scores: dict[str, float] = {}
    for token, share in zip(tokens, shares, strict=True):
        # Tokens that differ in a blank before them are one word to a person.
        word = processor.decode([token]).strip()
        scores[word] = scores.get(word, 0.0) + share
    best = max(scores, key=scores.__getitem__)
    return {"text": best, "score": scores[best], "scores": scores}
