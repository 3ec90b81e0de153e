"""A model folder as plain floats: what was quantized into GGUF is read as numbers, an adapter joins its base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modelnook.convert.folder import writing
from modelnook.domain.errors import UnsupportedError
from modelnook.runtime.folder import config, formats, quantized
from modelnook.runtime.silence import silence
from modelnook.runtime.transformers import load_trained
from modelnook.tasks.dense import carry
from modelnook.tasks.dense_heavy import save_model
from modelnook.tasks.near import save_processor

__all__ = ["as_floats", "requantizes", "write_floats"]


def requantizes(path: Path) -> bool:
    """Whether a folder's weights were quantized already and are only there as a GGUF file."""
    return quantized(path) is not None and formats(path) == ("gguf",)


def as_floats(path: Path, folder: Path, task: str) -> Path:
    """A float32 copy of a model in ``folder``: weights, config and tokenizer as transformers writes them, no code.

    Raises:
        UnsupportedError: quantized in another way than GGUF, or not loadable for the task.
    """
    how = quantized(path)
    if how and not requantizes(path):
        raise UnsupportedError("quantize.already", path=path, how=how)
    _, model, processor = load_trained(path, task)
    write_floats(model, processor, folder, config(path))
    carry(path, folder)
    return folder


def write_floats(model: Any, processor: Any, folder: Path, said: dict[str, Any]) -> None:
    """A loaded model and what goes with it; ``said`` is the config that its folder had."""
    with silence(), writing(folder):
        model.config._name_or_path = ""
        save_model(model, folder)
        if hasattr(processor, "save_pretrained"):
            save_processor(processor, folder)
    _rewrite(folder / "config.json", {n: said[n] for n in ("modelnook_task", "modelnook_learnt") if n in said})
    for name in ("tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            _rewrite(folder / name, {})


# What would have code of the folder run, and what no longer holds.
_DROPPED = ("auto_map", "quantization_config", "_name_or_path", "name_or_path", "modelnook_quantization")


def _rewrite(path: Path, more: dict[str, Any]) -> None:
    said = json.loads(path.read_text(encoding="utf-8"))
    kept = {name: value for name, value in said.items() if name not in _DROPPED}
    path.write_text(json.dumps({**kept, **more}, ensure_ascii=False, indent=2), encoding="utf-8")
