"""What a model that is learnt from the rows alone must have, and how its folder is written and read."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from modelnook.catalog.folder import CLASSIC
from modelnook.domain.errors import UnsupportedError
from modelnook.tasks.spec import Columns, Spec

__all__ = ["SAID", "Classic", "read", "sample", "write"]

SAID = "sklearn.json"
SEED = 13
LEAST = 1e-9
"""The probability of a class that training never saw."""


class Classic(ABC):
    """A learnt model. ``arrays`` and ``said`` (JSON) are all of it; ``of`` makes the same model of them."""

    name: ClassVar[str]
    """As a row of ``METHODS``, and of the baselines."""

    @classmethod
    @abstractmethod
    def learn(cls, spec: Spec, train: Columns, labels: Sequence[str], *, most: int | None = None) -> Self | None:
        """Learn from role -> values; None where they hold nothing to learn from, such as texts without a word.

        Args:
            labels: the names in the order of the outputs.
            most: rows to learn from at most, a seeded sample of more.

        Raises:
            ImportError: scikit-learn isn't installed.
        """

    @abstractmethod
    def outputs(self, spec: Spec, columns: Columns) -> NDArray[Any]:
        """One row's outputs each, as the task scores them; the same to the last bit whatever rows stand beside it."""

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its numbers by name."""

    @abstractmethod
    def said(self) -> dict[str, Any]:
        """What of it isn't numbers, as JSON."""

    @classmethod
    @abstractmethod
    def of(cls, said: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The model that :meth:`said` and :meth:`arrays` were those of."""

    @abstractmethod
    def layers(self) -> str:
        """What it is made of, a line each."""


def sample(rows: int, most: int | None) -> NDArray[np.int64]:
    """The positions of at most ``most`` rows: all of them, or a seeded sample."""
    if most is None or rows <= most:
        return np.arange(rows)
    found: NDArray[np.int64] = np.random.default_rng(SEED).choice(rows, most, replace=False)
    return found


def write(model: Classic, folder: Path, *, task: str, labels: Sequence[str]) -> None:
    """Write the files of a model into an empty folder."""
    from safetensors.numpy import save_file

    config: dict[str, Any] = {"model_type": model.name, "modelnook_task": task}
    if labels:
        config["id2label"] = {str(i): name for i, name in enumerate(labels)}
        config["label2id"] = {name: i for i, name in enumerate(labels)}
    _json(folder / "config.json", config, indent=2)
    _json(folder / SAID, {"version": 1, "method": model.name, **model.said()})
    save_file({name: np.ascontiguousarray(values) for name, values in model.arrays().items()}, folder / CLASSIC)


def _json(path: Path, data: dict[str, Any], indent: int | None = None) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False, indent=indent), encoding="utf-8")


def read(folder: Path) -> Classic:
    """The model of a folder.

    Raises:
        UnsupportedError: files that are damaged or of a newer kind.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from modelnook.classic.tfidf import Tfidf
    from modelnook.classic.trees import Trees

    try:
        said = json.loads((folder / SAID).read_text(encoding="utf-8"))
        kinds: dict[str, type[Classic]] = {kind.name: kind for kind in (Tfidf, Trees)}
        return kinds[said["method"]].of(said, load_file(folder / CLASSIC))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UnsupportedError("runtime.cant_load", path=folder, error=f"{type(error).__name__}: {error}") from error
