"""The Dense layers that a sentence encoder's vectors go through after the pooling, as its folder says them.

The layout is sentence-transformers' own: ``modules.json`` names the parts in their order, and each layer has a folder
(``2_Dense``) with ``config.json`` and ``model.safetensors``. Nothing that a configuration names is imported.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from modelnook.catalog.adapter import adapter_in, base_of
from modelnook.catalog.papers import json_in
from modelnook.domain.errors import UnsupportedError
from modelnook.tasks.pooling import parts_of

__all__ = [
    "ACTIVATIONS",
    "CONFIG",
    "MODULES",
    "POOLING",
    "WEIGHTS",
    "Dense",
    "carry",
    "dense_of",
    "describe",
    "home_of",
    "odd",
]

ACTIVATIONS = (
    "CELU ELU GELU Hardsigmoid Hardswish Hardtanh Identity LeakyReLU LogSigmoid Mish ReLU ReLU6 SELU SiLU Sigmoid "
    "Softplus Softsign Tanh Tanhshrink"
).split()
"""Classes of ``torch.nn`` that a layer may end with: those that take one number to another and have no weights."""

MODULES, CONFIG, WEIGHTS = "modules.json", "config.json", "model.safetensors"
POOLING = "1_Pooling"
_INPUT = "sentence_embedding"
_ORDER = re.compile(r"Transformer Pooling( Dense)+( Normalize)?")
# What a pull of a model brings along; nothing outside of the model's folder.
_PLACE = re.compile(r"\d+_\w+", re.ASCII)
_FLAGS = {"cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens", "last": "lasttoken"}


@dataclass(frozen=True, slots=True)
class Dense:
    """A layer: ``activation(weight · vector + bias)``.

    Attributes:
        place: its folder's name.
        activation: one of :data:`ACTIVATIONS`.
    """

    place: str
    inputs: int
    outputs: int
    bias: bool
    activation: str


def home_of(folder: Path) -> Path:
    """The folder that says how vectors are made: an adapter's own where it does, else its base's."""
    adapter = {} if (folder / MODULES).is_file() else adapter_in(folder)
    return base_of(folder, adapter) if adapter else folder


def dense_of(folder: Path) -> list[Dense]:
    """The layers in their order; empty where there are none.

    Raises:
        UnsupportedError: layers in another place than between pooling and vector, of another library, or with a
            setting that isn't known here.
    """
    parts = parts_of(folder)
    if "Dense" not in parts:
        return []
    said = [part for part in json.loads((folder / MODULES).read_text(encoding="utf-8")) if isinstance(part, dict)]
    foreign = [str(part.get("type")) for part in said if not str(part.get("type")).startswith("sentence_transformers.")]
    if foreign or not _ORDER.fullmatch(" ".join(parts)):
        raise UnsupportedError("task.odd_vectors", path=folder, parts=" + ".join(foreign or parts))
    places = [str(part.get("path")) for part, kind in zip(said, parts, strict=True) if kind == "Dense"]
    layers = [_layer(folder, place) for place in places]
    for before, after in pairwise(layers):
        if before.outputs != after.inputs:
            raise odd(folder, after.place, f"in_features = {after.inputs}, {before.place}: {before.outputs}")
    return layers


def _layer(folder: Path, place: str) -> Dense:
    if not _PLACE.fullmatch(place):
        raise odd(folder, MODULES, f"path = {place!r}")
    said = json_in(folder / place / CONFIG)
    inputs, outputs, bias = said.get("in_features"), said.get("out_features"), said.get("bias", True)
    if type(inputs) is not int or type(outputs) is not int or min(inputs, outputs) < 1 or not isinstance(bias, bool):
        raise odd(folder, place, f"in_features = {inputs!r}, out_features = {outputs!r}, bias = {bias!r}")
    # Other layers read tokens, or add to what they read.
    known = {"module_input_name": (_INPUT,), "module_output_name": (_INPUT, None), "use_residual": (False,)}
    for name, values in known.items():
        if name in said and said[name] not in values:
            raise odd(folder, place, f"{name} = {said[name]!r}")
    # Without one it is what sentence-transformers takes then.
    named = str(said.get("activation_function", "torch.nn.modules.activation.Tanh"))
    library, _, activation = named.rpartition(".")
    if activation not in ACTIVATIONS or not f"{library}.".startswith("torch.nn."):
        known_here = ", ".join(ACTIVATIONS)
        raise UnsupportedError("task.dense_activation", path=folder, layer=place, name=named, known=known_here)
    return Dense(place, inputs, outputs, bias, activation)


def odd(folder: Path, place: str, said: str) -> UnsupportedError:
    """The refusal of a layer, by what its files say."""
    return UnsupportedError("task.odd_dense", path=folder, layer=place, said=said)


def describe(layers: Sequence[Dense], how: str, folder: Path, width: int | None = None) -> None:
    """Write into ``folder`` how vectors are made, all but the weights: the parts, the pooling, the layers.

    Args:
        how: a value of :data:`~modelnook.tasks.pooling.POOLINGS`.
        width: of a token's vector, where no layer says it.
    """
    kinds = [("", "Transformer"), (POOLING, "Pooling"), *((layer.place, "Dense") for layer in layers)]
    last = max((int(layer.place.partition("_")[0]) for layer in layers), default=1)
    kinds.append((f"{last + 1}_Normalize", "Normalize"))
    modules = [
        {"idx": at, "name": str(at), "path": place, "type": f"sentence_transformers.models.{kind}"}
        for at, (place, kind) in enumerate(kinds)
    ]
    pooling: dict[str, Any] = {"word_embedding_dimension": layers[0].inputs if layers else width}
    pooling |= {f"pooling_mode_{mode}": name == how for name, mode in _FLAGS.items()}
    _write(folder / MODULES, modules)
    _write(folder / POOLING / CONFIG, pooling)
    for layer in layers:
        said = {"in_features": layer.inputs, "out_features": layer.outputs, "bias": layer.bias}
        module = "linear" if layer.activation == "Identity" else "activation"
        named = f"torch.nn.modules.{module}.{layer.activation}"
        _write(folder / layer.place / CONFIG, {**said, "activation_function": named})


def carry(source: Path, folder: Path) -> None:
    """Copy what says how vectors are made, and Dense layers, into the folder of what was made of a model without them.

    Nothing where the source says nothing, or the folder has its own.
    """
    home = home_of(source)
    try:
        layers = dense_of(home)
    except UnsupportedError:
        # Those who compute vectors refuse it; others, such as a classifier's trim, have no use for it.
        return
    if (folder / (f"{layers[-1].place}/{WEIGHTS}" if layers else MODULES)).is_file():
        return
    names = [f"{POOLING}/{CONFIG}", *(f"{layer.place}/{name}" for layer in layers for name in (CONFIG, WEIGHTS))]
    for name in (MODULES, *names):
        if (home / name).is_file():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(home / name, folder / name)


def _write(file: Path, said: Any) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(said, indent=2), encoding="utf-8")
