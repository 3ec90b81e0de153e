"""A sentence encoder's Dense layers as a part of its model: trained, moved and kept in checkpoints as any other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modelnook.domain.errors import UnsupportedError
from modelnook.tasks.dense import WEIGHTS, Dense, dense_of, describe, odd

__all__ = ["DENSE", "DenseLayers", "attach", "detach", "save_model"]

DENSE = "dense_layers"
"""What the part is called in a model of transformers, which has none of this name."""


class DenseLayers(nn.Sequential):
    """Each layer as a ``Linear`` and its activation.

    Args:
        how: how what they read is pooled, to be written beside them.
    """

    def __init__(self, said: Sequence[Dense], how: str) -> None:
        pairs = [(nn.Linear(one.inputs, one.outputs, one.bias), getattr(nn, one.activation)()) for one in said]
        super().__init__(*(part for pair in pairs for part in pair))
        self.said, self.how = list(said), how

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors of shape (rows, outputs of the last layer), float32; a model may have been made half of that."""
        found: torch.Tensor = super().forward(vectors.to(next(self.parameters()).dtype))
        return found.float()

    def linear(self, at: int) -> nn.Linear:
        """The matrix of a layer."""
        found = self[2 * at]
        assert isinstance(found, nn.Linear)
        return found

    def save(self, folder: Path) -> None:
        """Write the layers as sentence-transformers reads them."""
        from safetensors.torch import save_file

        describe(self.said, self.how, folder)
        for at, layer in enumerate(self.said):
            weights = {f"linear.{name}": value.contiguous() for name, value in self.linear(at).state_dict().items()}
            save_file(weights, folder / layer.place / WEIGHTS, metadata={"format": "pt"})


def attach(model: Any, folder: Path, how: str) -> int:
    """Give a bare encoder the layers that its folder says; how many there are.

    Raises:
        UnsupportedError: see :func:`~modelnook.tasks.dense.dense_of`; weights that are a pickle, absent, or of another
            shape.
    """
    said = dense_of(folder)
    if said:
        layers = DenseLayers(said, how)
        for at, layer in enumerate(said):
            _read(layers.linear(at), folder, layer.place)
        width = getattr(model.config, "hidden_size", None) or getattr(model.config, "dim", None)
        if width and width != said[0].inputs:
            raise odd(folder, said[0].place, f"in_features = {said[0].inputs}, hidden_size = {width}")
        model.add_module(DENSE, layers)
    return len(said)


def _read(linear: nn.Linear, folder: Path, place: str) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = folder / place / WEIGHTS
    if not file.is_file():
        pickle = file.with_name("pytorch_model.bin")
        if pickle.is_file():
            raise UnsupportedError("task.pickle", path=pickle.parent, file=pickle.name)
        raise UnsupportedError("task.no_dense", path=folder, layer=place)
    try:
        weights = load_file(file)
    except SafetensorError as error:
        raise odd(folder, place, str(error)) from None
    expected = {f"linear.{name}": tuple(value.shape) for name, value in linear.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if found != expected:
        raise odd(folder, place, f"{found} ≠ {expected}")
    linear.load_state_dict({name.removeprefix("linear."): value for name, value in weights.items()})


def detach(model: Any) -> DenseLayers | None:
    """Take the layers out of a model, as for a library that is to change, or write, only what transformers knows."""
    found = getattr(model, "_modules", {}).pop(DENSE, None)
    assert found is None or isinstance(found, DenseLayers)
    return found


def save_model(model: Any, folder: Path) -> None:
    """``save_pretrained`` of a model, its layers in folders of their own: transformers would write them among its own
    weights, where nobody looks for them.
    """
    layers = detach(model)
    try:
        model.save_pretrained(folder)
    finally:
        if layers is not None:
            model.add_module(DENSE, layers)
    if layers is not None:
        layers.save(folder)
