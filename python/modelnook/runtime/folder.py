"""What the files of a model folder say before any weight is read: formats, labels, task, longest text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelnook.catalog.adapter import adapter_in, base_of
from modelnook.catalog.adapter import task_of as adapter_task
from modelnook.catalog.folder import CLASSIC, pickles, task_in
from modelnook.catalog.gguf import config_of, read_header
from modelnook.catalog.papers import json_in
from modelnook.domain.errors import UnsupportedError

__all__ = [
    "CARD",
    "config",
    "formats",
    "labels",
    "learnt",
    "limit",
    "max_length",
    "needs_card",
    "pad_id",
    "quantized",
    "task_as",
    "task_of",
    "without_floats",
]

CARD = "cuda"
"""The device of kernels that are there for GPUs alone."""

FALLBACK_LENGTH = 512
_QUANTIZED_OPS = (b"MatMulInteger", b"QLinearMatMul", b"DequantizeLinear", b"MatMulNBits")
_QUANTIZED_TYPES = (
    b'"FakeQuantize"',
    b'element_type="i8"',
    b'element_type="u8"',
    b'element_type="i4"',
    b'element_type="u4"',
)
# Weights that PyTorch runs through a package of their own, named in the config by transformers or by us.
_METHODS = frozenset(("bitsandbytes", "gptq", "quanto", "torchao"))
# Tokenizers without a limit write a number like 1e30; whatever is above this means "none said".
_NO_LIMIT = 1_000_000
# These reserve the positions up to and with the pad token's (RoBERTa's 514 positions hold 512 tokens).
_OFFSET_POSITIONS = frozenset("roberta xlm-roberta camembert xlm-roberta-xl data2vec-text longformer mpnet".split())


def config(path: Path) -> dict[str, Any]:
    """``config.json`` of a model folder; where it has none, what its GGUF file says, or the base of an adapter."""
    said = json_in(path / "config.json")
    if said or not path.is_dir():
        return said
    adapter = adapter_in(path)
    if adapter:
        return {**config(base_of(path, adapter)), "modelnook_task": adapter_task(adapter)}
    files = sorted(path.glob("*.gguf"))
    return config_of(read_header(files[0])) if files else {}


def formats(path: Path) -> tuple[str, ...]:
    """The formats of a folder's weights, sorted: ``onnx``, ``openvino``, ``safetensors``, ``sklearn``, ``gguf``,
    ``pickle``; in the place of ``safetensors`` the package that quantized them: ``torchao``, ``quanto``, ``gptq``,
    ``bitsandbytes``.
    """
    found = set()
    names = {p.name for p in path.iterdir()} if path.is_dir() else set()
    if "model.onnx" in names:
        found.add("onnx")
    if "openvino_model.xml" in names:
        found.add("openvino")
    if CLASSIC in names:
        found.add("sklearn")
    elif any(n.endswith(".safetensors") for n in names):
        said = config(path)
        method = (said.get("quantization_config") or {}).get("quant_method")
        method = method or (said.get("modelnook_quantization") or {}).get("backend")
        found.add(method if method in _METHODS else "safetensors")
    if any(n.endswith(".gguf") for n in names):
        found.add("gguf")
    if pickles(names):
        found.add("pickle")
    return tuple(sorted(found))


def quantized(path: Path) -> str | None:
    """How a folder's weights were quantized (``torchao``, ``onnx-int8`` …), or None where they weren't.

    A program's folder says it in ``modelnook_quantization`` of its config; a foreign one is read by its ops and types.
    """
    told = _told(config(path))
    if told:
        return told
    program = path / "model.onnx"
    if program.is_file() and _mentions(program, _QUANTIZED_OPS):
        return "onnx"
    graph = path / "openvino_model.xml"
    if graph.is_file() and _mentions(graph, _QUANTIZED_TYPES):
        return "openvino"
    return "gguf" if formats(path) == ("gguf",) else None


def _told(said: dict[str, Any]) -> str | None:
    """How a config says that its weights were quantized."""
    own = said.get("modelnook_quantization")
    if own:
        return f"{own.get('backend')}-{own.get('scheme')}"
    other = said.get("quantization_config")
    return str(other.get("quant_method") or "unknown") if other else None


def without_floats(path: Path) -> str | None:
    """As what a folder's weights are there, where a training can't change them: a program, or what a package quantized
    for PyTorch; None where they are floats, or become them as a GGUF file's do.
    """
    found = formats(path)
    kept = next((form for form in found if form in _METHODS), None)
    if kept is None and not {"safetensors", "gguf", "sklearn", "pickle"} & {*found}:
        kept = next(iter(found), None)
    # Its config alone: a program's own operations, read through to its end, would say no more than its form does.
    return kept and (_told(config(path)) or kept)


def needs_card(path: Path) -> bool:
    """Whether a folder's weights are packed for a GPU's kernels: torchao's int4, as it is made here."""
    said: Any = config(path).get("quantization_config")
    try:
        how = said["quant_type"]["default"]["_data"]["int4_packing_format"]
    except (KeyError, TypeError):
        # Older versions wrote a name in the place of the settings.
        return False
    return bool(said.get("quant_method") == "torchao" and how == "tile_packed_to_4d")


def _mentions(path: Path, words: tuple[bytes, ...]) -> bool:
    # Op names stand in the graph, which protobuf writes before or after the weights: read it all, piece by piece.
    keep = max(map(len, words)) - 1
    with path.open("rb") as file:
        tail = b""
        while piece := file.read(1 << 20):
            window = tail + piece
            if any(w in window for w in words):
                return True
            tail = window[-keep:]
    return False


def labels(said: dict[str, Any]) -> list[str]:
    """The label names of a config in the order of the model's outputs; empty where it has none."""
    names = said.get("id2label") or {}
    if names:
        return [str(names[k]) for k in sorted(names, key=int)]
    count = said.get("num_labels")
    return [f"LABEL_{i}" for i in range(int(count))] if count else []


def task_of(said: dict[str, Any]) -> str | None:
    """The task that a folder was trained for here, or that its architecture serves; None for a bare encoder."""
    task = task_in(said)
    return None if task == "feature-extraction" else task


def task_as(path: Path, asked: str | None) -> str | None:
    """What a program is to do: what it was made for, which is all that it can.

    Raises:
        UnsupportedError: another task is asked for.
    """
    said = config(path)
    trained = task_of(said)
    if asked and trained and asked != trained:
        architecture = ", ".join(said.get("architectures") or ()) or "-"
        raise UnsupportedError("runtime.untrained_head", path=path, task=asked, architecture=architecture)
    return asked or trained


def learnt(said: dict[str, Any]) -> dict[str, Any]:
    """What the training rows told beside the weights, see :meth:`modelnook.tasks.spec.Spec.learn`."""
    return dict(said.get("modelnook_learnt") or {})


def max_length(path: Path) -> int:
    """The longest text in tokens: the least of what config and tokenizer say, 512 where neither does."""
    limits = [] if (positions := _positions(config(path))) is None else [positions]
    length = json_in(path / "tokenizer_config.json").get("model_max_length")
    if isinstance(length, int | float) and 0 < length < _NO_LIMIT:
        limits.append(int(length))
    return min(limits) if limits else FALLBACK_LENGTH


def limit(path: Path) -> int:
    """The longest text in tokens that a model may be trained on: its base's :func:`max_length`.

    The tokenizer of a model made here says the length that it was trained with, ``modelnook_limit`` of its config
    this; without that, of models made by earlier versions, the positions are the best that is known.
    """
    said, found = json_in(path / "config.json"), max_length(path)
    kept = said.get("modelnook_limit")
    if isinstance(kept, int) and kept > 0:
        return kept
    return max(found, _positions(said) or FALLBACK_LENGTH) if said.get("modelnook_task") else found


def _positions(said: dict[str, Any]) -> int | None:
    """The tokens for which a config has places; None where it doesn't count them."""
    positions = said.get("max_position_embeddings") or said.get("n_positions") or said.get("max_seq_len")
    if not isinstance(positions, int) or positions <= 0:
        return None
    return positions - (int(said.get("pad_token_id") or 0) + 1 if said.get("model_type") in _OFFSET_POSITIONS else 0)


def pad_id(path: Path) -> int:
    """The id that fills short rows of a batch, 0 where nothing says one."""
    said = config(path).get("pad_token_id")
    return said if isinstance(said, int) and said >= 0 else 0
