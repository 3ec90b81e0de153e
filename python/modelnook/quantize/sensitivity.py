"""Which linear layers lose the most in int8: those are left in higher precision when a first try falls too far.

For each layer the true inputs of some of the person's texts are taken, the layer's product is computed once in floats
and once as int8 would have it (weights per output channel, activations per tensor, both rounded to the nearest), and
the relative squared error of the two is its sensitivity: the signal-to-noise criterion of Wu et al., "Integer
Quantization for Deep Learning Inference", 2020 (arXiv:2004.09602), section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["by_sensitivity", "worst"]

TEXTS = 32
# Rows of activations (tokens) kept of each layer.
TOKENS = 512


def worst(
    task: Any, model: Any, tokenizer: Any, texts: Sequence[Any], max_length: int, *, share: float, floats: str = ""
) -> list[str]:
    """The most sensitive ``share`` of the linear layers (at least one), by module name.

    Args:
        floats: a part of the model that stays in floats in any case, by module name: it takes no layer's place.
    """
    ranked = by_sensitivity(task, model, tokenizer, texts, max_length)
    ranked = [(name, error) for name, error in ranked if not (floats and name.startswith(f"{floats}."))]
    return [name for name, _ in ranked[: max(1, round(share * len(ranked)))]]


def by_sensitivity(
    task: Any, model: Any, tokenizer: Any, texts: Sequence[Any], max_length: int
) -> list[tuple[str, float]]:
    """``(module name, relative squared error)`` of every linear layer, the worst first."""
    import torch

    errors: dict[str, float] = {}

    def watch(name: str) -> Any:
        def hook(module: Any, inputs: tuple[Any, ...]) -> None:
            errors[name] = max(errors.get(name, 0.0), _error(module.weight, inputs[0]))

        return hook

    layers = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in layers.items()]
    try:
        with torch.inference_mode():
            encoded = task.encode(tokenizer, task.spec().as_columns(texts[:TEXTS]), max_length)
            for start in range(0, len(task.lengths(encoded)), 8):
                part = {name: values[start : start + 8] for name, values in encoded.items()}
                task.outputs(model, task.collate(tokenizer, part))
    finally:
        for hook in hooks:
            hook.remove()
    return sorted(errors.items(), key=lambda item: -item[1])


def _error(weight: torch.Tensor, inputs: torch.Tensor) -> float:
    # weight (out, in), inputs (…, in).
    rows = inputs.reshape(-1, inputs.shape[-1])[:TOKENS].float()
    weight = weight.float()
    low, high = rows.min().clamp(max=0), rows.max().clamp(min=0)
    step = ((high - low) / 255).clamp(min=1e-12)
    zero = (-low / step).round()
    rough_rows = ((rows / step + zero).round().clamp(0, 255) - zero) * step
    scale = (weight.abs().amax(dim=1, keepdim=True) / 127).clamp(min=1e-12)
    rough_weight = (weight / scale).round().clamp(-127, 127) * scale
    true = rows @ weight.T
    noise = rough_rows @ rough_weight.T - true
    return float((noise.square().sum() / true.square().sum().clamp(min=1e-12)).item())
