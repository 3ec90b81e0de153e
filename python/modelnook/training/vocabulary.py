"""Train only the rows of the embedding table that the data uses.

A token that never occurs has a zero gradient, zero moments and so a zero AdamW step: leaving its row out of the
optimizer changes nothing but the time. Of a vocabulary of 30,000, short texts use a fifth, and the table is half the
weights of a small model. Only weight decay moves unused rows; it is applied in one multiplication at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["Vocabulary"]

WORTH_IT = 0.7
"""Above this share of used rows the table stays whole."""

Rows = dict[str, list[Any]]


class Vocabulary:
    """The table of ``model`` cut to the tokens of the given rows, until :meth:`restore`.

    Token ids that the model itself looks for (padding, end of text …) keep their numbers; where one lies beyond the
    cut table, or the table is shared with an output layer or not trained, nothing is changed.

    Args:
        model: None cuts nothing: for a task whose labels are token ids as well.
        sets: encoded rows with ``input_ids``: all that will be seen while the table is cut, validation rows as well.
    """

    def __init__(self, model: nn.Module | None, *sets: Rows | None) -> None:
        self.table: nn.Embedding | None = None
        self.new: np.ndarray[Any, np.dtype[np.int32]] | None = None
        table = _own_table(model) if model is not None else None
        if model is None or table is None:
            return
        used = _used(model, sets, table.num_embeddings)
        new = _renumber(used, _fixed_ids(model), table.num_embeddings)
        if new is None:
            return
        self.table, self.new = table, new
        self.full: torch.Tensor = table.weight.data
        self.kept = torch.from_numpy(np.argsort(new[used])).to(self.full.device)
        self.used = torch.from_numpy(used).to(self.full.device)[self.kept]
        _set_weight(table, self.full[self.used])

    def renumber(self, rows: Rows) -> Rows:
        """Rows with the cut table's numbers."""
        if self.new is None:
            return rows
        return {**rows, **{name: self._renumbered(rows[name]) for name in _texts(rows)}}

    def _renumbered(self, texts: list[Any]) -> list[Any]:
        assert self.new is not None
        sizes = np.cumsum([len(ids) for ids in texts])[:-1]
        return [part.tolist() for part in np.split(self.new[_flat(texts)], sizes)]

    def restore(self, decay: float = 1.0) -> None:
        """Put the whole table back, trained rows in their places; ``decay`` is what weight decay left of the others."""
        if self.table is None:
            return
        with torch.no_grad():
            if decay != 1.0:
                self.full.mul_(decay)
            self.full[self.used] = self.table.weight.detach()
        _set_weight(self.table, self.full)
        self.table = self.new = None


def _own_table(model: nn.Module) -> nn.Embedding | None:
    """The input table if it is plain, trained, and nobody else's."""
    get = getattr(model, "get_input_embeddings", None)
    table = get() if get is not None else None
    if type(table) is not nn.Embedding or not table.weight.requires_grad or table.max_norm is not None or table.sparse:
        return None
    users = sum(p is table.weight for m in model.modules() for p in m.parameters(recurse=False))
    return table if users == 1 else None


def _texts(rows: Rows) -> list[str]:
    """The columns that hold token ids: ``input_ids``, and ``pair_input_ids`` and the like of rows of more texts."""
    return [name for name in rows if name.endswith("input_ids")]


def _flat(texts: list[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.concatenate([np.asarray(ids, dtype=np.int64) for ids in texts])


def _used(model: nn.Module, sets: tuple[Rows | None, ...], size: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    seen = np.zeros(size, dtype=bool)
    for rows in sets:
        if rows:
            for name in _texts(rows):
                seen[_flat(rows[name])] = True
    seen[[i for i in _fixed_ids(model) if i < size]] = True
    return np.flatnonzero(seen)


def _fixed_ids(model: nn.Module) -> list[int]:
    config = getattr(model, "config", None)
    names = ("pad", "bos", "eos", "cls", "sep", "decoder_start")
    found = {getattr(config, f"{name}_token_id", None) for name in names}
    return sorted(i for i in found if isinstance(i, int) and i >= 0)


def _renumber(
    used: np.ndarray[Any, np.dtype[np.int64]], fixed: list[int], size: int
) -> np.ndarray[Any, np.dtype[np.int32]] | None:
    """Old number -> new one, or None where cutting isn't worth it or a fixed number would not fit."""
    if len(used) > WORTH_IT * size or any(i >= len(used) for i in fixed):
        return None
    new = np.full(size, -1, dtype=np.int32)
    new[fixed] = fixed
    free = np.setdiff1d(np.arange(len(used)), fixed)
    new[np.setdiff1d(used, fixed)] = free
    return new


def _set_weight(table: nn.Embedding, weight: torch.Tensor) -> None:
    table.weight = nn.Parameter(weight)
    table.num_embeddings = len(weight)
