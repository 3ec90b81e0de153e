"""Attention for training on a CPU: plain matrix products with the quick dropout mask, forward and backward by hand.

torch's own kernel has no dropout on a CPU and falls back to a slow path there (at 256 tokens five times as slow). It
is registered as an attention function of transformers, so any model that takes those can use it; whatever it doesn't
know (grouped heads, extra arguments, no dropout at all) goes to the ``sdpa`` function.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from modelnook.training.dropout import keep

__all__ = ["fast_attention"]

NAME = "modelnook_cpu"


class _Attend(torch.autograd.Function):
    """softmax(q k' scale + bias) with dropout, times v. All of shape (rows, heads, tokens, width) but the bias."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bias: torch.Tensor | None,
        scale: float,
        p: float,
    ) -> torch.Tensor:
        query, key, value = (query * scale).contiguous(), key.contiguous(), value.contiguous()
        scores = query @ key.transpose(-1, -2)
        if bias is not None:
            scores += bias
        shares = torch.softmax(scores, dim=-1)
        del scores
        mask, ctx.gain = keep(shares.shape, p, shares.dtype)
        ctx.scale = scale
        ctx.save_for_backward(query, key, value, shares, mask)
        return ((shares * mask) @ value).mul_(ctx.gain)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        query, key, value, shares, mask = ctx.saved_tensors
        grad = (grads[0] * ctx.gain).contiguous()
        to_value = (shares * mask).transpose(-1, -2) @ grad
        to_shares = (grad @ value.transpose(-1, -2)).mul_(mask)
        to_scores = torch.ops.aten._softmax_backward_data(to_shares, shares, -1, shares.dtype)
        del to_shares
        to_query = (to_scores @ key).mul_(ctx.scale)
        # The query was saved with the scale in it.
        to_key = to_scores.transpose(-1, -2) @ query
        return to_query, to_key, to_value, None, None, None


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """The signature of an attention function of transformers; gives (rows, tokens, heads, width)."""
    if not _known(module, query, key, attention_mask, dropout, more):
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more
        )
        return found
    bias = None if attention_mask is None else _bias(attention_mask, query.dtype)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    output: torch.Tensor = _Attend.apply(query, key, value, bias, scale, dropout)
    return output.transpose(1, 2).contiguous(), None


def _known(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    mask: torch.Tensor | None,
    dropout: float,
    more: dict[str, Any],
) -> bool:
    causal = more.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    extra = any(value is not None for name, value in more.items() if name not in ("is_causal", "output_attentions"))
    return (
        module.training
        and 0 < dropout < 1
        and query.device.type == "cpu"
        and query.shape[1] == key.shape[1]
        and not (causal and mask is None)
        and not extra
    )


def _bias(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to the scores: nothing where a key may be seen, the lowest number elsewhere."""
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros(mask.shape, dtype=dtype).masked_fill_(~mask, torch.finfo(dtype).min)


@contextmanager
def fast_attention(model: nn.Module) -> Iterator[None]:
    """Within it, the model attends with :func:`attend`, if it is one of transformers' that lets itself be told."""
    if NAME not in ALL_MASK_ATTENTION_FUNCTIONS:
        AttentionInterface.register(NAME, attend)
        AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    configs = _told(model)
    for config in configs:
        config._attn_implementation_internal = NAME
    try:
        yield
    finally:
        for config in configs:
            config._attn_implementation_internal = "sdpa"


def _told(model: nn.Module) -> list[Any]:
    """The configurations, each once, of the submodels that use ``sdpa`` through the attention interface."""
    found: dict[int, Any] = {}
    for module in model.modules():
        config = getattr(module, "config", None)
        takes = getattr(module, "_can_set_attn_implementation", None)
        if config is None or takes is None or getattr(config, "_attn_implementation", None) != "sdpa":
            continue
        if takes():
            found[id(config)] = config
    return list(found.values())
