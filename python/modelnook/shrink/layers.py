"""Taking layers out of a model's stack: in memory, to see what each is worth, and in its folder, for good."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from modelnook.domain.errors import UnsupportedError, UsageError
from modelnook.runtime.transformers import load_trained
from modelnook.shrink.folder import read, staged, write
from modelnook.training.stack import layer_stack

__all__ = ["Stack", "evenly", "student"]

_COUNTS = "num_hidden_layers n_layer n_layers num_layers".split()
"""What configurations call the number of layers."""

_CLOSE = 1e-5
"""How far apart outputs may lie, as a share of the largest: rounding, and no other order of layers."""


class Stack:
    """A model's layers, of which any may stand aside.

    Raises:
        UnsupportedError: no one stack of layers, or one that its configuration doesn't count.
    """

    def __init__(self, model: Any) -> None:
        layers = layer_stack(model)
        config = model.config
        several = 0 if layers is None or len(layers) < 2 else len(layers)
        counted = [n for n in _COUNTS if several and getattr(config, n, None) == several]
        if layers is None or not counted or getattr(config, "is_encoder_decoder", False):
            raise UnsupportedError("shrink.no_layers", architecture=type(model).__name__)
        self.model, self.layers, self.counted = model, layers, counted
        self.whole = list(layers)
        self.builds = [_build(layer) for layer in self.whole]
        # What is said of each layer, such as its kind of attention, goes with it.
        self.lists = {
            name: list(value)
            for name, value in vars(config).items()
            if isinstance(value, list | tuple) and len(value) == len(self.whole) and "layer" in name
        }

    def fits(self, places: Sequence[int]) -> bool:
        """Whether each of the layers at ``places`` is built as a layer of its new place is.

        In some models the first one has parts that the others lack.
        """
        return all(self.builds[at] == self.builds[new] for new, at in enumerate(places))

    def keep(self, places: Sequence[int]) -> None:
        """Leave the layers at ``places`` of the whole stack, in its order."""
        kept = sorted(places)
        # Emptied in place: parts of the model may hold the list itself.
        self.layers._modules.clear()
        self.layers.extend(nn.ModuleList([self.whole[at] for at in kept]))
        # By it a layer finds its place in a cache, which has as many as the configuration counts.
        module: Any
        for place, at in enumerate(kept):
            for module in self.whole[at].modules():
                if hasattr(module, "layer_idx"):
                    module.layer_idx = place
        for name in self.counted:
            setattr(self.model.config, name, len(kept))
        for name, values in self.lists.items():
            setattr(self.model.config, name, [values[at] for at in kept])


def _build(layer: nn.Module) -> list[tuple[str, str]]:
    """What a layer is made of: its modules' kinds, its weights' shapes."""
    kinds = [(name, type(module).__name__) for name, module in layer.named_modules()]
    return kinds + [(name, str(tuple(weight.shape))) for name, weight in layer.named_parameters()]


def evenly(layers: int, wanted: int) -> list[int]:
    """``wanted`` places of ``layers``, the first and the last among them, as far apart as can be.

    Where a student starts from its teacher (Sanh et al. 2019, arXiv:1910.01108, took every second layer).

    >>> evenly(6, 3), evenly(12, 4), evenly(4, 1)
    ([0, 2, 5], [0, 3, 7, 11], [0])
    """
    return [int(at) for at in np.linspace(0, layers - 1, wanted)]


def student(source: Path, target: Path, *, task: str, layers: int | None, step: str) -> tuple[int, int]:
    """Write to ``target`` the model in ``source`` with so many of its layers, evenly taken; half of them without.

    Returns:
        the layers before and after.

    Raises:
        UnsupportedError: quantized, or no stack of layers.
        UsageError: not fewer layers than there are.
    """
    heavy, model, processor = read(source, task, step)
    stack = Stack(model)
    count = len(stack.whole)
    wanted = -(-count // 2) if layers is None else layers
    check_count(wanted, count)
    stack.keep(evenly(count, wanted))
    save(source, target, heavy, model, processor)
    return count, wanted


def check_count(wanted: int, count: int) -> None:
    """Raise UsageError unless ``wanted`` layers are fewer than there are, and one at least."""
    if not 1 <= wanted < count:
        raise UsageError("shrink.bad_count", layers=wanted, count=count, most=count - 1)


def save(source: Path, target: Path, heavy: Any, model: Any, processor: Any) -> None:
    """Write a model with fewer layers; read again it must give what it gives in memory.

    Raises:
        UnsupportedError: an architecture in which a layer's place decides what it does.
    """
    rows = _sample(model)
    with torch.inference_mode():
        expected = model(**rows)[0]
    with staged(target) as folder:
        write(source, folder, heavy, model, processor)
        again = load_trained(folder, heavy.spec.name)[1]
        with torch.inference_mode():
            found = again(**rows)[0]
        apart = (found - expected).abs().max() if found.shape == expected.shape else torch.inf
        if not apart <= _CLOSE * expected.abs().max():
            raise UnsupportedError("shrink.placed_layers", architecture=type(model).__name__)


def _sample(model: Any) -> dict[str, torch.Tensor]:
    """Something that the model takes: token ids, or an image or a sound of noise."""
    random = torch.Generator().manual_seed(0)
    name, config = model.main_input_name, model.config
    if name == "input_ids":
        size = model.get_input_embeddings().num_embeddings
        return {name: torch.randint(0, size, (2, 12), generator=random)}
    if name == "pixel_values":
        size = config.image_size
        side = (size, size) if isinstance(size, int) else tuple(size)
        return {name: torch.randn(2, int(getattr(config, "num_channels", 3)), *side, generator=random)}
    bins = getattr(config, "num_mel_bins", None)
    shape = (2, int(config.max_length), int(bins)) if bins and hasattr(config, "max_length") else (2, 16_000)
    return {name: torch.randn(*shape, generator=random)}
