"""Sentence similarity, the heavy half: a bare encoder, its tokens' vectors pooled to one of length one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from modelnook.domain.errors import UnsupportedError
from modelnook.tasks.base import Task
from modelnook.tasks.dense import home_of
from modelnook.tasks.dense_heavy import DENSE, attach
from modelnook.tasks.padding_heavy import padded
from modelnook.tasks.pooling import POOLINGS, parts_of, poolings_of
from modelnook.tasks.pretrained_heavy import load_config, load_model, load_tokenizer
from modelnook.tasks.sentence_similarity import SentenceSimilarity, sides
from modelnook.tasks.spec import Columns
from modelnook.tasks.text import encode_texts

__all__ = ["SentenceSimilarityTask"]

SIDES = ("", "pair_", "negative_")
"""What the encoded texts of a row are called, before ``input_ids``."""

PARTS = ("Dense", "Normalize", "Pooling", "Transformer")

SCALE = 20.0
"""What cosines are multiplied by before the softmax, as sentence-transformers has it."""


class SentenceSimilarityTask(Task):
    """Any encoder that transformers loads as ``AutoModel``."""

    spec = SentenceSimilarity
    cuts_vocabulary = True
    new_head = False
    bare = True

    def load(self, path: str, **options: Any) -> tuple[Any, Any]:
        """See :meth:`Task.load`; how the folder pools is kept, the mean where it doesn't say.

        Raises:
            UnsupportedError: a model that isn't for texts, or whose vectors are made in a way that isn't known here.
        """
        config, home = load_config(path), home_of(Path(path))
        if "pooling" not in self.learnt:
            self.learnt["pooling"] = _pooling(home)
        model = load_model(path, config, "AutoModel", self.spec.name)
        if model.main_input_name != "input_ids" or getattr(config, "is_encoder_decoder", False):
            raise UnsupportedError("task.no_encoder", architecture=type(model).__name__, task=self.spec.name)
        layers = attach(model, home, self.learnt["pooling"])
        told = int((getattr(config, "modelnook_learnt", None) or {}).get("dense", 0))
        if layers < told:
            # Whatever wrote the folder knew nothing of them.
            raise UnsupportedError("task.lost_dense", path=path, found=layers, told=told)
        if layers:
            self.learnt["dense"] = layers
        return model, load_tokenizer(path)

    def encode(self, processor: Any, columns: Columns, max_length: int) -> dict[str, list[Any]]:
        """``input_ids`` of the first texts, ``pair_input_ids`` and ``negative_input_ids`` where a row has those.

        ``labels`` of scored pairs are on a scale from 0 to 1.
        """
        texts = zip(SIDES, sides(columns), strict=False)
        rows: dict[str, list[Any]] = {
            f"{name}input_ids": encode_texts(processor, side, max_length) for name, side in texts
        }
        if "label" in columns:
            low, high = self.learnt.get("low", 0.0), self.learnt.get("high", 1.0)
            found = (self.spec().truth(columns) - low) / (high - low)
            rows["labels"] = found.clip(0, 1).tolist()
        return rows

    def collate(self, processor: Any, rows: dict[str, list[Any]]) -> dict[str, Any]:
        """Each side padded by itself; ``same`` (rows, candidates) marks candidates that are no wrong answers."""
        batch: dict[str, Any] = {}
        for name in _names(rows):
            side = padded(processor, {"input_ids": rows[f"{name}input_ids"]})
            batch |= {f"{name}{key}": value for key, value in side.items()}
        if "labels" in rows:
            batch["labels"] = torch.tensor(rows["labels"], dtype=torch.float32)
        elif "pair_input_ids" in rows:
            batch["same"] = _same(rows)
        return batch

    def lengths(self, rows: dict[str, list[Any]]) -> list[int]:
        """Tokens of all texts of a row."""
        return [sum(map(len, cells)) for cells in zip(*(rows[f"{n}input_ids"] for n in _names(rows)), strict=True)]

    def loss(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Squared error of cosine and label; or each first text's softmax over all other texts of the batch.

        The latter is the multiple negatives ranking loss (Henderson et al. 2017, arXiv:1705.00652, section 4.4).
        """
        vectors = self._vectors(model, batch)
        if "labels" in batch:
            return F.mse_loss((vectors[0] * vectors[1]).sum(dim=-1), batch["labels"])
        near = SCALE * vectors[0] @ torch.cat(vectors[1:]).T
        near = near.masked_fill(batch["same"], -torch.inf)
        return F.cross_entropy(near, torch.arange(len(near), device=near.device))

    def outputs(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """Vectors of length one, float32 of shape (rows, texts of a row, width)."""
        return torch.stack(self._vectors(model, batch), dim=1)

    def traced(self, model: Any) -> nn.Module:
        """See :meth:`Task.traced`: with the pooling, so that the program gives vectors."""
        return Pooled(model, self.learnt.get("pooling", "mean"))

    def _vectors(self, model: Any, batch: dict[str, Any]) -> list[torch.Tensor]:
        how = self.learnt.get("pooling", "mean")
        return [
            pooled(model, batch[f"{name}input_ids"], batch.get(f"{name}attention_mask"), how) for name in _names(batch)
        ]


class Pooled(nn.Module):
    """An encoder and its pooling as one module: token ids in, vectors of shape (rows, width) out."""

    def __init__(self, model: Any, how: str) -> None:
        super().__init__()
        self.model, self.how = model, how
        self.config = model.config

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """The vectors under the name ``vector``."""
        return {"vector": pooled(self.model, input_ids, attention_mask, self.how)}


def pooled(model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor | None, how: str) -> torch.Tensor:
    """One vector of length one a text, float32 of shape (rows, width): the mean of its tokens', their greatest
    values, the first, the last; what the model's Dense layers make of it where it has some.
    """
    hidden = model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state.float()
    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    # len() would be a constant of a traced program.
    rows, place = (torch.arange(mask.shape[axis], device=mask.device) for axis in (0, 1))
    if how == "mean":
        weight = mask.unsqueeze(-1).float()
        found = (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1e-9)
    elif how == "max":
        found = hidden.masked_fill(mask.unsqueeze(-1) == 0, torch.finfo(hidden.dtype).min).amax(dim=1)
    elif how == "cls":
        found = hidden[rows, mask.argmax(dim=1)]
    else:
        found = hidden[rows, (mask * place).argmax(dim=1)]
    layers = getattr(model, DENSE, None)
    return F.normalize(found if layers is None else layers(found), dim=-1)


def _names(rows: Any) -> list[str]:
    return [name for name in SIDES if f"{name}input_ids" in rows]


def _same(rows: dict[str, list[Any]]) -> torch.Tensor:
    """Which candidates say the same as a row's own answer, or answer the same text; never the row's own."""
    known: dict[tuple[int, ...], int] = {}

    def numbered(name: str) -> torch.Tensor:
        return torch.tensor([known.setdefault(tuple(ids), len(known)) for ids in rows[f"{name}input_ids"]])

    first, second = numbered(""), numbered("pair_")
    candidates, owners = [second], [first]
    if "negative_input_ids" in rows:
        candidates.append(numbered("negative_"))
        # A row's negative is wrong for its own text: it is left out for none.
        owners.append(torch.full_like(first, -1))
    found = second[:, None] == torch.cat(candidates)[None]
    found |= first[:, None] == torch.cat(owners)[None]
    index = torch.arange(len(first))
    found[index, index] = False
    return found


def _pooling(folder: Path) -> str:
    """How :func:`pooled` makes the vectors of a folder of sentence-transformers."""
    modes = poolings_of(folder) or ["mean"]
    odd = [part for part in parts_of(folder) if part not in PARTS]
    if not odd and (len(modes) > 1 or modes[0] not in POOLINGS):
        odd = modes
    if not odd and modes[0] != POOLINGS[modes[0]] == "mean" and "Dense" in parts_of(folder):
        # A scaled mean has the direction of the mean; what a layer makes of it hasn't.
        odd = [modes[0], "Dense"]
    if odd:
        raise UnsupportedError("task.odd_vectors", path=folder, parts=" + ".join(odd))
    return POOLINGS[modes[0]]
