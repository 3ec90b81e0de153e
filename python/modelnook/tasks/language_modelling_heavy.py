"""How well a model predicts tokens: its loss, computed where there is something to predict and nowhere else.

The layer before the vocabulary is the widest of a small model: at 40% learnt tokens, leaving the others out of it took
a training step from 2.0 to 1.5 s (four layers of SmolLM2's shape, 302 tokens, two cores). Packing the rows of a batch
into one sequence instead took as long: batches are made of rows alike in length, so there is next to no padding to
save, and a packed sequence pays for attention between rows that mustn't see each other. So it is there to be asked for,
as ``packing``, where batches are to be made without regard to length.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from modelnook.tasks.padding_heavy import IGNORE
from modelnook.tasks.text_generation import PLACES, TIE

__all__ = ["Head", "foretold", "likelihoods", "mean_loss", "reads_apart"]

MOST = 2**26
"""Numbers of a layer over the vocabulary that are held at once (256 MB in float32); what is more comes in parts."""

ROUND = 64
"""Positions are filled up to a multiple of it: tensors of a new size in every step leave holes in a CPU's memory that
the next doesn't fit (masked MiniLM, 2,048 tokens a batch: 2.2 GB at the peak instead of 1.7)."""


class Head:
    """A language model as its body and what follows, so that the latter sees the wanted positions alone.

    Where one output layer is all that follows, it can be used in parts; some models do more, such as a layer before
    it, scaling or capping. Which it is, is found by trying.
    """

    def __init__(self, model: Any) -> None:
        self.apart = _comes_apart(model)
        self.among: torch.Tensor | None = None
        """Bool of shape (vocabulary,): :func:`likelihoods` has each of these tokens chosen among these alone."""

    def logits(
        self, model: Any, inputs: dict[str, Any], wanted: torch.Tensor, *, filled: bool = False
    ) -> tuple[Any, torch.Tensor]:
        """``(function, values)`` of the positions ``wanted`` (bool of shape (rows, tokens)).

        The function makes logits of shape (n, vocabulary) from some of the values.

        Args:
            filled: there may be zeros after the last position, see ``ROUND``; what comes of them means nothing.
        """
        whole = model.get_base_model() if hasattr(model, "get_base_model") else model
        body = getattr(whole, whole.base_model_prefix, None)
        if body is None:
            return torch.nn.Identity(), model(**inputs).logits[wanted]
        if self.apart:
            return whole.get_output_embeddings(), _filled(body(**inputs)[0][wanted], filled)

        def narrow(module: Any, given: Any, output: Any) -> Any:
            output.last_hidden_state = _filled(output.last_hidden_state[wanted], filled)[None]
            return output

        handle = body.register_forward_hook(narrow)
        try:
            return torch.nn.Identity(), model(**inputs).logits[0]
        finally:
            handle.remove()


def _comes_apart(model: Any) -> bool:
    body = getattr(model, getattr(model, "base_model_prefix", "") or "-", None)
    head = model.get_output_embeddings()
    if body is None or head is None:
        return False
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            probe = {"input_ids": torch.tensor([[1, 2, 3]], device=model.device)}
            return bool(torch.allclose(head(body(**probe)[0]), model(**probe).logits, rtol=1e-4, atol=1e-4))
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False
    finally:
        model.train(was_training)


def reads_apart(model: Any) -> bool:
    """Whether two rows in one sequence, each with positions of its own, come to what each comes to alone.

    Attention of transformers' newer models does that by the positions; what has a memory beside it, or no positions,
    doesn't. Found by trying.
    """
    rows = [[1, 2, 3], [3, 1, 2, 2]]
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            apart = torch.cat([_logits(model, [row], [list(range(len(row)))]) for row in rows])
            together = _logits(model, [[*rows[0], *rows[1]]], [[i for row in rows for i in range(len(row))]])
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False
    finally:
        model.train(was_training)
    return bool((apart - together).abs().max() <= 1e-3 * apart.std())


def _logits(model: Any, ids: list[list[int]], positions: list[list[int]]) -> torch.Tensor:
    tokens, places = (torch.tensor(numbers, device=model.device) for numbers in (ids, positions))
    logits: torch.Tensor = model(input_ids=tokens, position_ids=places, use_cache=False).logits[0].float()
    return logits


def mean_loss(head: Head, model: Any, inputs: dict[str, Any], labels: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of the positions whose label isn't IGNORE, in float32; 0 where there is none.

    Args:
        labels: int64 of shape (rows, tokens): what stands at a position of the model's output.
    """
    wanted = labels != IGNORE
    logits, values = head.logits(model, inputs, wanted, filled=True)
    learnt = labels[wanted]
    targets = _targets(learnt, values)

    def part(some: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits(some).float(), target, reduction="sum")

    size = _size(model)
    if len(values) <= size:
        total = part(values, targets)
    else:
        # Each part's logits are made again for its gradient: the whole would be held otherwise.
        pieces = zip(values.split(size), targets.split(size), strict=True)
        total = torch.stack([checkpoint(part, *piece, use_reentrant=False) for piece in pieces]).sum()
    return total / max(1, len(learnt))


def likelihoods(head: Head, model: Any, inputs: dict[str, Any], labels: torch.Tensor) -> torch.Tensor:
    """The summed negative log-likelihood and the number of each row's labels, float32 of shape (rows, 2)."""
    return _told(head, model, inputs, labels, 0)


def foretold(head: Head, model: Any, inputs: dict[str, Any], labels: torch.Tensor) -> torch.Tensor:
    """:func:`likelihoods` and which tokens are the likeliest, as in
    :class:`~modelnook.tasks.text_generation.LanguageModelling`.
    """
    return _told(head, model, inputs, labels, PLACES)


def _told(head: Head, model: Any, inputs: dict[str, Any], labels: torch.Tensor, places: int) -> torch.Tensor:
    wanted = labels != IGNORE
    logits, values = head.logits(model, inputs, wanted, filled=True)
    rows, place = wanted.nonzero()[:, 0], (wanted.cumsum(dim=1) - 1)[wanted]
    early = place < places
    found = torch.zeros(len(labels), 2 + 2 * places, device=labels.device)
    found[:, 1], found[:, 2:] = wanted.sum(dim=1), -1
    losses, likeliest = [], []
    size = _size(model)
    parts = (values, _targets(labels[wanted], values), F.pad(early, (0, len(values) - len(early))))
    for some, target, told in zip(*(part.split(size) for part in parts), strict=True):
        scores = logits(some).float()
        losses.append(_losses(scores, target, head.among))
        if places:
            likeliest.append(_likeliest(scores[told]))
    if losses:
        found[:, 0].index_add_(0, rows, torch.cat(losses)[: len(rows)])
    for column, tokens in enumerate(torch.cat(likeliest, dim=1) if likeliest else ()):
        found[rows[early], 2 + column * places + place[early]] = tokens
    return found


def _likeliest(logits: torch.Tensor) -> torch.Tensor:
    """The likeliest token, and the second where it is as likely, else -1; float32 of shape (2, n)."""
    values, tokens = logits.topk(2, dim=1)
    second = torch.where(values[:, 0] - values[:, 1] <= TIE, tokens[:, 1], -1)
    return torch.stack([tokens[:, 0], second]).float()


def _losses(logits: torch.Tensor, targets: torch.Tensor, among: torch.Tensor | None) -> torch.Tensor:
    losses = F.cross_entropy(logits, targets, reduction="none")
    if among is None:
        return losses
    among = among.to(logits.device)
    won = logits.logsumexp(dim=1) - logits.masked_fill(~among, -torch.inf).logsumexp(dim=1)
    return torch.where(among[targets.clamp(min=0)], losses - won, losses)


def _filled(values: torch.Tensor, wanted: bool) -> torch.Tensor:
    """Of shape (n, width), zeros after the last up to a multiple of ``ROUND``."""
    return F.pad(values, (0, 0, 0, -len(values) % ROUND)) if wanted else values


def _targets(targets: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Nothing is predicted from what was filled up."""
    return F.pad(targets, (0, len(values) - len(targets)), value=IGNORE)


def _size(model: Any) -> int:
    return max(1, MOST // int(model.config.get_text_config().vocab_size))
