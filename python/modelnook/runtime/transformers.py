"""PyTorch through transformers: any folder with ``config.json``, safetensors and a tokenizer.

How texts become batches and batches become outputs is the task's heavy half, the same as in training. Nothing of a
folder is executed, no pickle is read and the network is never asked (see :mod:`modelnook.tasks.pretrained_heavy`).
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Generator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from modelnook.domain.errors import ModelnookError, UnsupportedError
from modelnook.runtime import folder
from modelnook.runtime.base import Runtime
from modelnook.runtime.batches import room
from modelnook.runtime.driven import outputs
from modelnook.runtime.layers import module_tree
from modelnook.runtime.silence import first_line, mute_gptq, silence
from modelnook.settings import current
from modelnook.tasks import TASKS
from modelnook.tasks.pretrained_heavy import PACKED

__all__ = ["TransformersRuntime", "load_trained"]


def load_trained(path: Path, name: str | None) -> tuple[Any, Any, Any]:
    """``(task, model, processor)`` of a folder whose head was trained for the task; the model in eval mode.

    It is on the CPU; one of ``PACKED`` on the device that ``torch.device(…)`` says as a context.

    Raises:
        UnsupportedError: an unknown task, a folder whose head is another's or missing, files that can't be read.
    """
    if name is None or name not in TASKS:
        raise UnsupportedError("runtime.no_task", task=name or "-", known=", ".join(TASKS))
    said = folder.config(path)
    trained = folder.task_of(said)
    if trained != name and not (trained is None and TASKS.load(name).bare):
        architecture = ", ".join(said.get("architectures") or ()) or "-"
        raise UnsupportedError("runtime.untrained_head", path=path, task=name, architecture=architecture)
    task = TASKS.load(name)()
    task.learnt = folder.learnt(said)
    if folder.quantized(path) == "gptq":
        mute_gptq()
    with silence():
        try:
            model, processor = task.load(str(path))
        except ModelnookError:
            raise
        except Exception as error:
            raise UnsupportedError("runtime.cant_load", path=path, error=first_line(error)) from error
    return task, model.eval(), processor


class TransformersRuntime(Runtime):
    """See :class:`~modelnook.runtime.base.Runtime`."""

    name = "transformers"
    formats = ("safetensors", "torchao", "quanto", "bitsandbytes", "gptq", "gguf")

    def __init__(
        self, path: Path, *, task: str | None = None, device: str = "auto", threads: int | None = None
    ) -> None:
        super().__init__(path, task=task or folder.task_of(folder.config(path)))
        self.threads = threads or current().threads
        torch.set_num_threads(self.threads)
        self.device = _device(device)
        if folder.needs_card(path) and not self.device.startswith(folder.CARD):
            raise UnsupportedError("runtime.needs_gpu", path=path, how=folder.quantized(path), device=self.device)
        self.max_length = folder.max_length(path)
        self._room = room(path)
        self._model: Any = None
        self._load()
        self.labels: list[str] = self._task.labels

    def outputs(self, rows: Sequence[Any], *, batch_size: int | str = 32, sort: bool = True) -> Any:
        """See :meth:`Runtime.outputs`."""
        given: dict[str, Any] = {"batch_size": batch_size, "sort": sort, "device": self.device}
        if self.device == "cpu":
            given["tokens"] = self._room
        return outputs(self._task, self._processor, self._loaded, rows, self.max_length, **given)

    def predict(self, rows: Sequence[Any], *, batch_size: int | str = "auto", **options: Any) -> list[dict[str, Any]]:
        """See :meth:`Runtime.predict`; a model that writes is given ``options`` such as ``max_new_tokens``."""
        written: list[dict[str, Any]] | None = self._task.answer(
            self._loaded, self._processor, rows, batch_size=batch_size, max_length=self.max_length, **options
        )
        return super().predict(rows, batch_size=batch_size) if written is None else written

    def stream(self, row: Any, **options: Any) -> Generator[str, None, str]:
        """See :meth:`Runtime.stream`."""
        pieces: Generator[str, None, str] = self._task.stream(self._loaded, self._processor, row, **options)
        return pieces

    def layers(self) -> str:
        """See :func:`~modelnook.runtime.layers.module_tree`."""
        return module_tree(self._loaded)

    def to(self, device: str) -> None:
        """Move the weights, e.g. off the accelerator while a job uses it."""
        self.device, model = _device(device), self._loaded
        if folder.quantized(self.path) in PACKED:
            left = weakref.ref(model)
            self._model = model = None
            _free(left)
            self._load()
        else:
            self._model = model.to(self.device)
            _empty()

    def close(self) -> None:
        """See :meth:`Runtime.close`."""
        left = None if self._model is None else weakref.ref(self._model)
        self._model = None
        _free(left)

    def _load(self) -> None:
        packed = folder.quantized(self.path) in PACKED
        with torch.device(self.device) if packed else nullcontext():
            self._task, model, self._processor = load_trained(self.path, self.task)
        self._model = model if packed else model.to(self.device)

    @property
    def _loaded(self) -> Any:
        if self._model is None:
            raise UnsupportedError("runtime.closed", path=self.path.name)
        return self._model


def _device(asked: str) -> str:
    if asked == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(asked.split(":")[0], False):
        raise UnsupportedError("runtime.device", runtime="transformers", device=asked)
    return asked


def _free(left: weakref.ref[Any] | None) -> None:
    """Give back what a model held, to which nothing should refer any more.

    Circles are looked for only where it is still there: among all objects of a notebook that takes a third of a second.
    """
    if left is not None and left() is not None:
        gc.collect()
    _empty()


def _empty() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
