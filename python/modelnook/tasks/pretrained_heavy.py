"""Models and tokenizers from a local folder, the safe way for every task: safetensors only, no code, no network."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from modelnook.catalog.adapter import adapter_in, base_of
from modelnook.catalog.folder import safetensors_header
from modelnook.domain.errors import DataError, NotFoundError, UnsupportedError
from modelnook.tasks.dense_heavy import save_model
from modelnook.tasks.gguf_heavy import gguf_in, read_once
from modelnook.tasks.near import add_near, near_in, save_processor
from modelnook.tasks.quanto_heavy import MAP, load_quanto

__all__ = [
    "PACKED",
    "load_config",
    "load_feature_extractor",
    "load_image_processor",
    "load_model",
    "load_tokenizer",
    "quiet",
    "save_pretrained",
]

PACKED = frozenset(("bitsandbytes", "gptq"))
"""Whose weights are packed for the device that they are read to: moved to another they are another's."""


@contextmanager
def quiet() -> Iterator[None]:
    """transformers' progress bars and load reports off: a run says what matters in events of its own."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def load_config(path: str) -> Any:
    """The folder's configuration.

    Raises:
        NotFoundError: no ``config.json`` there.
        UnsupportedError: one that transformers doesn't know.
    """
    from transformers import AutoConfig

    adapter = adapter_in(Path(path))
    if adapter:
        config = load_config(str(base_of(Path(path), adapter)))
        classes = _classes(Path(path))
        if classes:
            config.num_labels = classes
        return config
    file = gguf_in(path)
    if not file and not (Path(path) / "config.json").is_file():
        raise NotFoundError("task.no_config", path=path)
    try:
        return AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False, **file)
    except (OSError, ValueError, KeyError) as error:
        raise _unread(Path(path), error) from None


def _unread(path: Path, error: Exception) -> UnsupportedError:
    """Why transformers reads no configuration there: code of its own, an architecture it lacks, or a broken file."""
    from transformers import CONFIG_MAPPING, __version__

    try:
        said = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = None
    if isinstance(said, dict) and said.get("model_type") not in CONFIG_MAPPING:
        if said.get("auto_map"):
            return UnsupportedError("task.own_code", path=path)
        if said.get("model_type"):
            return UnsupportedError("task.unknown_type", path=path, type=said["model_type"], version=__version__)
    return UnsupportedError("task.bad_config", path=path, error=_first_line(error))


def load_model(
    path: str, config: Any, auto: str, task: str, *, no_head: str = "task.no_head", trained: bool = False
) -> Any:
    """The model in float32 with the head that the class ``auto`` of transformers gives it.

    ``made_anew`` of the model are the names of the weights that the folder didn't have.

    Of a folder that holds an adapter alone, it is the base with that merged.

    A folder whose weights are in a GGUF file alone is read from that, its weights made float32.

    Args:
        no_head: the message for an architecture that has none, which says what to take instead.
        trained: whether the head must be among the weights; one that isn't is made anew otherwise.

    Raises:
        UnsupportedError: an architecture without such a head, or weights that are no safetensors.
        MissingPackage: a GGUF file, and the package that reads it isn't installed.
    """
    import transformers

    adapter = adapter_in(Path(path))
    if adapter:
        base = load_model(str(base_of(Path(path), adapter)), config, auto, task, no_head=no_head)
        return _merged(base, Path(path))
    kind = getattr(transformers, auto)
    if type(config) not in kind._model_mapping:
        names = getattr(config, "architectures", None) or [config.model_type]
        raise UnsupportedError(no_head, architecture=names[0], task=task)
    if (Path(path) / MAP).is_file():
        model = load_quanto(path, config, kind)
        model.made_anew = frozenset()
        return model
    if getattr(config, "quantization_config", None):
        # bitsandbytes warns of every product in eight bits, for as long as the model answers.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    form = gguf_in(path)
    if form:
        form["quantization_config"] = transformers.GgufConfig(dequantize=True)
    else:
        _require_safetensors(Path(path))
        form["use_safetensors"] = True
    if _method(config) in PACKED:
        # Their quantizers take the first GPU, or the CPU, whatever the context says.
        form["device_map"] = str(torch.empty(0).device)
    # The bar of reading a GGUF file is no bar of transformers' own and can't be switched off there.
    silent = redirect_stderr(StringIO()) if "gguf_file" in form else nullcontext()
    with quiet(), silent, read_once(path):
        model, report = kind.from_pretrained(
            path,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
            output_loading_info=True,
            **form,
        )
    if trained and report["missing_keys"]:
        names = getattr(config, "architectures", None) or [config.model_type]
        raise UnsupportedError(no_head, architecture=names[0], task=task)
    model.made_anew = frozenset(report["missing_keys"])
    return model


def _method(config: Any) -> str:
    """How the weights were quantized, ``""`` where they weren't."""
    said = getattr(config, "quantization_config", None) or {}
    method = said.get("quant_method") if isinstance(said, dict) else getattr(said, "quant_method", None)
    return str(getattr(method, "value", method) or "")


def _merged(base: Any, path: Path) -> Any:
    """The base with an adapter's changes in its own weights; a head that the adapter holds is the model's then."""
    from peft import PeftModel

    _require_safetensors(path)
    with quiet():
        model = PeftModel.from_pretrained(base, str(path)).merge_and_unload()
    held = {name for name, _, _ in safetensors_header(path / "adapter_model.safetensors")}
    model.made_anew = frozenset(n for n in base.made_anew if not any(h.endswith(n) for h in held))
    return model


def _classes(path: Path) -> int | None:
    """How many outputs the head has that an adapter holds; None where it holds none."""
    heads = ("classifier.weight", "classifier.out_proj.weight", "score.weight")
    for name, _, shape in safetensors_header(path / "adapter_model.safetensors"):
        if name.endswith(heads):
            return shape[0]
    return None


def load_tokenizer(path: str, *, near: bool = True) -> Any:
    """The folder's fast tokenizer, with a padding token.

    Args:
        near: whether it reads words that were cut as the nearest that stayed, see :mod:`modelnook.tasks.near`. Not
            where a token's number has to say which word is meant.

    Raises:
        DataError: none that can be read.
    """
    from transformers import AutoTokenizer

    adapter = adapter_in(Path(path))
    if adapter and not (Path(path) / "tokenizer_config.json").is_file():
        return load_tokenizer(str(base_of(Path(path), adapter)), near=near)
    # A tokenizer of its own is read in a tenth of the time that it takes to build the one in a GGUF file.
    file = {} if (Path(path) / "tokenizer.json").is_file() else gguf_in(path)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False, **file)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise DataError("task.slow_tokenizer", path=path, error=_first_line(error)) from None
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if near and (said := near_in(Path(path))):
        add_near(tokenizer, said)
    return tokenizer


def load_image_processor(path: str) -> Any:
    """The folder's image processor, on Pillow and numpy: torchvision isn't needed.

    Raises:
        DataError: none that can be read.
    """
    from transformers import AutoImageProcessor

    try:
        with quiet():
            return AutoImageProcessor.from_pretrained(
                path, backend="pil", local_files_only=True, trust_remote_code=False
            )
    except (OSError, ValueError, KeyError, ImportError, TypeError) as error:
        raise DataError("task.no_processor", path=path, error=_first_line(error)) from None


def load_feature_extractor(path: str) -> Any:
    """What turns the folder's sounds into the model's inputs.

    Raises:
        DataError: none that can be read.
    """
    from transformers import AutoFeatureExtractor

    try:
        with quiet():
            return AutoFeatureExtractor.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError, TypeError) as error:
        raise DataError("task.no_processor", path=path, error=_first_line(error)) from None


def save_pretrained(model: Any, processor: Any, folder: Path) -> None:
    """Model and processor as transformers writes them, without the path that they were loaded from.

    Nor with the programs that the base would have had run: they don't come along, and were never run here.
    """
    model.config._name_or_path = ""
    configs: list[Any] = [model.config, getattr(model, "generation_config", None)]
    for said in configs:
        if hasattr(said, "auto_map"):
            del said.auto_map
    if hasattr(processor, "init_kwargs"):
        processor.name_or_path = ""
        for name in ("name_or_path", "local_files_only", "is_local", "auto_map"):
            processor.init_kwargs.pop(name, None)
    with quiet():
        save_model(model, folder)
        save_processor(processor, folder)


def _require_safetensors(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(f.name for f in folder.iterdir() if f.suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl"))
    if pickles:
        raise UnsupportedError("task.pickle", path=folder, file=pickles[0])
    raise UnsupportedError("task.no_weights", path=folder)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:200].rstrip(".")
