"""Models and tokenizers from a local folder, the safe way for every task: safetensors only, no code, no network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from modelnook.domain.errors import DataError, MissingPackage, NotFoundError, UnsupportedError
from modelnook.tasks.quanto_heavy import MAP, load_quanto

__all__ = [
    "load_config",
    "load_feature_extractor",
    "load_image_processor",
    "load_model",
    "load_tokenizer",
    "quiet",
    "save_pretrained",
]


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

    file = _gguf(path)
    if not file and not (Path(path) / "config.json").is_file():
        raise NotFoundError("task.no_config", path=path)
    try:
        return AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False, **file)
    except (OSError, ValueError, KeyError) as error:
        raise UnsupportedError("task.bad_config", path=path, error=_first_line(error)) from None


def load_model(
    path: str, config: Any, auto: str, task: str, *, no_head: str = "task.no_head", trained: bool = False
) -> Any:
    """The model in float32 with the head that the class ``auto`` of transformers gives it.

    ``made_anew`` of the model are the names of the weights that the folder didn't have.

    A folder without ``config.json`` that holds a GGUF file is read from that, its weights made float32.

    Args:
        no_head: the message for an architecture that has none, which says what to take instead.
        trained: whether the head must be among the weights; one that isn't is made anew otherwise.

    Raises:
        UnsupportedError: an architecture without such a head, or weights that are no safetensors.
        MissingPackage: a GGUF file, and the package that reads it isn't installed.
    """
    import transformers

    kind = getattr(transformers, auto)
    if type(config) not in kind._model_mapping:
        names = getattr(config, "architectures", None) or [config.model_type]
        raise UnsupportedError(no_head, architecture=names[0], task=task)
    if (Path(path) / MAP).is_file():
        model = load_quanto(path, config, kind)
        model.made_anew = frozenset()
        return model
    form = _gguf(path)
    if form:
        form["quantization_config"] = transformers.GgufConfig(dequantize=True)
    else:
        _require_safetensors(Path(path))
        form["use_safetensors"] = True
    # The bar of reading a GGUF file is no bar of transformers' own and can't be switched off there.
    with quiet(), redirect_stderr(StringIO()) if "gguf_file" in form else nullcontext():
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


def _gguf(path: str) -> dict[str, Any]:
    """The argument that has transformers read a folder's GGUF file, where that is all there is."""
    files = sorted(f.name for f in Path(path).glob("*.gguf"))
    if not files or (Path(path) / "config.json").is_file():
        return {}
    if find_spec("gguf") is None:
        raise MissingPackage("task.needs_gguf", path=path, file=files[0])
    return {"gguf_file": files[0]}


def load_tokenizer(path: str) -> Any:
    """The folder's fast tokenizer, with a padding token.

    Raises:
        DataError: none that can be read.
    """
    from transformers import AutoTokenizer

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                path, local_files_only=True, trust_remote_code=False, **_gguf(path)
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise DataError("task.slow_tokenizer", path=path, error=_first_line(error)) from None
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
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
    """Model and processor as transformers writes them, without the path that they were loaded from."""
    model.config._name_or_path = ""
    if hasattr(processor, "init_kwargs"):
        processor.name_or_path = ""
        for name in ("name_or_path", "local_files_only", "is_local"):
            processor.init_kwargs.pop(name, None)
    with quiet():
        model.save_pretrained(folder)
        processor.save_pretrained(folder)


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
