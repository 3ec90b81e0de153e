"""What backends share whose result PyTorch runs: which layers stay in floats, and how transformers writes it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from modelnook.catalog.adapter import adapter_in
from modelnook.convert.floats import as_floats
from modelnook.domain.event import Emit, Progress
from modelnook.quantize.folder import staged, write_tokenizer
from modelnook.quantize.library import library
from modelnook.quantize.sensitivity import worst
from modelnook.runtime.folder import max_length
from modelnook.runtime.silence import first_line
from modelnook.store.files import temporary
from modelnook.tasks.dense import carry
from modelnook.tasks.dense_heavy import DENSE, detach

__all__ = ["CAREFUL", "OTHERS", "converted", "kept", "save", "whole"]

OTHERS = {"int8": "onnx", "int4": "openvino"}
"""Scheme -> the backend to try where a library of PyTorch fails."""

KEPT_SHARE = 0.25
"""The share of linear layers that the more careful attempt leaves in floats."""

CAREFUL: tuple[dict[str, Any], ...] = ({}, {"keep": KEPT_SHARE})
"""All linear layers, then all but the most sensitive quarter."""


@contextmanager
def whole(source: Path, target: Path, task: str) -> Iterator[Path]:
    """A folder as transformers can quantize it while it is read: itself, or an adapter merged with its base, which is
    gone at the end.
    """
    if not adapter_in(source):
        yield source
        return
    merged = temporary(target, "merged")
    try:
        yield as_floats(source, merged, task)
    finally:
        shutil.rmtree(merged, ignore_errors=True)


def kept(task: Any, model: Any, processor: Any, source: Path, rows: Sequence[Any], share: float | None) -> list[str]:
    """The names of the ``share`` of linear layers that lose most on the rows; none without a share or rows."""
    if not share or not rows:
        return []
    return worst(task, model, processor, rows, max_length(source), share=share, floats=DENSE)


def converted(
    kind: type[Any],
    source: Path,
    config: Any,
    other: str,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | None = None,
) -> Any:
    """The model of a folder, quantized by transformers as ``config`` says while it is read.

    Args:
        dtype: of what is quantized, and of the rest.
        device: where that is done; None leaves it to the library.

    Raises:
        UnsupportedError: the library fails on this architecture; what it said, and the backend to try next.
    """
    with library(kind.__name__, other, _said):
        return kind.from_pretrained(
            str(source),
            quantization_config=config,
            dtype=dtype,
            device_map=device,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )


def _said(error: Exception) -> str:
    """What a library said of a weight that it couldn't convert: transformers has that in a table that it logs, and
    raises an error that points there.
    """
    trace = error.__traceback__
    while trace is not None:
        failed = getattr(trace.tb_frame.f_locals.get("loading_info"), "conversion_errors", None)
        found = (
            re.findall(r"^([\w.]+(?:Error|Exception))(?:: (.*))?$", next(iter(failed.values())), re.M) if failed else ()
        )
        if found:
            kind, said = map(str, found[-1])
            return (said or kind)[:300].rstrip(".")
        trace = trace.tb_next
    return first_line(error)


def save(
    model: Any,
    processor: Any,
    source: Path,
    target: Path,
    emit: Emit,
    other: str,
    mend: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Write a model of transformers that knows its own quantization, and its processor; ``mend`` gets the folder.

    A sentence encoder's Dense layers stay floats: they are small, and read once a text.

    Raises:
        UnsupportedError: transformers can't write it, see :func:`converted`.
    """
    emit(Progress("saving"))
    detach(model)
    with library(type(model).__name__, other), staged(target) as folder:
        model.config._name_or_path = ""
        model.save_pretrained(folder)
        mend(folder)
        carry(source, folder)
        write_tokenizer(source, folder, processor)
