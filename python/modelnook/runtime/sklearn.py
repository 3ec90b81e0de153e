"""TF-IDF and boosted trees: a folder with ``sklearn.json`` and ``sklearn.safetensors``; no PyTorch, no pickle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelnook.classic.base import Classic, read
from modelnook.domain.errors import UnsupportedError
from modelnook.runtime import folder
from modelnook.runtime.base import Runtime
from modelnook.tasks.answered import answered

__all__ = ["SklearnRuntime"]

CHUNK = 8192


class SklearnRuntime(Runtime):
    """See :class:`~modelnook.runtime.base.Runtime`. A row's outputs don't depend on the rows beside it."""

    name = "sklearn"
    formats = ("sklearn",)
    threads = 1

    def __init__(
        self, path: Path, *, task: str | None = None, device: str = "auto", threads: int | None = None
    ) -> None:
        said = folder.config(path)
        super().__init__(path, task=folder.task_as(path, task))
        if device not in ("auto", "cpu"):
            raise UnsupportedError("runtime.device", runtime=self.name, device=device)
        self.device = "cpu"
        self.labels = folder.labels(said)
        self.max_length = 0
        self.method: str = str(said.get("model_type") or "")
        self._model: Classic | None = read(path)

    def outputs(self, rows: Sequence[Any], *, batch_size: int | str = 32, sort: bool = True) -> Any:
        """See :meth:`Runtime.outputs`; float32 of shape (rows, labels), or float64 numbers of shape (rows,)."""
        spec, model = self.spec(), self.model
        if not len(rows):
            return np.empty((0, len(self.labels)), dtype=np.float32)
        found = []
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            found.append(model.outputs(spec, spec.as_columns(part)))
            answered(len(part))
        return np.concatenate(found)

    def layers(self) -> str:
        """What it is made of."""
        return self.model.layers()

    def close(self) -> None:
        """See :meth:`Runtime.close`."""
        self._model = None

    @property
    def model(self) -> Classic:
        """What was learnt.

        Raises:
            UnsupportedError: the runtime is closed.
        """
        if self._model is None:
            raise UnsupportedError("runtime.closed", path=self.path.name)
        return self._model
