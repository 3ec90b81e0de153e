"""Checkpoints on disk: safetensors and JSON, written beside and renamed, each with a manifest of its files' sha256.

::

    checkpoints/step-00000120/{weights,state}.safetensors  meta.json  manifest.json
    checkpoints/best/weights.safetensors  meta.json  manifest.json
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from modelnook.domain.event import Emit, Warned
from modelnook.store.files import place, sync

__all__ = ["Checkpoint", "Checkpoints"]

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One, read back: trained weights, everything else that is a tensor, and the rest as JSON."""

    step: int
    weights: Tensors
    state: Tensors
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: theirs alone; made when the first is written.
        keep: how many of the newest stay.
        on_saved: called with the folder of each one that is complete (the store's mirror).
        emit: told where one can't be read or written.
    """

    def __init__(
        self, folder: Path, *, emit: Emit, keep: int = 2, on_saved: Callable[[Path], None] | None = None
    ) -> None:
        self.folder = folder
        self.keep = keep
        self.emit = emit
        self.on_saved = on_saved
        self.last_cost_s = 0.0
        """Seconds that the last save took."""

    def save(self, step: int, weights: Tensors, state: Tensors, meta: dict[str, Any]) -> bool:
        """Write one. Where the disk is full or gone this warns, and training goes on: a checkpoint is a safety."""
        began = time.perf_counter()
        name = f"step-{step:08d}"
        done = self._write(name, {"weights": weights, "state": state}, {**meta, "step": step})
        if done:
            steps = self._steps()
            # Those of later steps were passed over when it went on: damaged, or of another run.
            newest = [folder for folder in steps if folder.name <= name][-self.keep :]
            for old in steps:
                if old not in newest:
                    shutil.rmtree(old, ignore_errors=True)
        self.last_cost_s = time.perf_counter() - began
        return done

    def save_best(self, step: int, weights: Tensors, meta: dict[str, Any]) -> bool:
        """Write the best weights so far over the ones before."""
        return self._write("best", {"weights": weights}, {**meta, "step": step})

    def latest(self) -> Checkpoint | None:
        """The newest that is whole; a damaged one is passed over, and that is said."""
        steps = self._steps()
        for at, folder in reversed([*enumerate(steps)]):
            found = self._read(folder)
            if found is not None:
                return found
            self.emit(_warned("train.checkpoint_damaged" if at else "train.checkpoints_lost", name=folder.name))
        return None

    def best(self) -> Checkpoint | None:
        """The best weights, or None."""
        return self._read(self.folder / "best")

    def clear(self) -> None:
        """Remove them all: the run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _steps(self) -> list[Path]:
        return sorted(self.folder.glob("step-????????"))

    def _write(self, name: str, groups: dict[str, Tensors], meta: dict[str, Any]) -> bool:
        target, part = self.folder / name, self.folder / f".{name}.part"
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            for group, tensors in groups.items():
                save_file(_plain(tensors), part / f"{group}.safetensors")
            (part / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
            sums = {f.name: _sha256(f) for f in sorted(part.iterdir())}
            (part / "manifest.json").write_text(json.dumps(sums), encoding="utf-8")
            for file in part.iterdir():
                sync(file)
            place(part, target)
            sync(self.folder)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(part, ignore_errors=True)
            self.emit(_warned("train.checkpoint_failed", error=error))
            return False
        if self.on_saved is not None:
            self.on_saved(target)
        return True

    def _read(self, folder: Path) -> Checkpoint | None:
        try:
            sums = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            if any(_sha256(folder / name) != digest for name, digest in sums.items()):
                return None
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            weights = load_file(folder / "weights.safetensors")
            state_file = folder / "state.safetensors"
            return Checkpoint(meta["step"], weights, load_file(state_file) if state_file.exists() else {}, meta)
        except (OSError, ValueError, KeyError, SafetensorError):
            return None


def _plain(tensors: Tensors) -> Tensors:
    return {name: value.detach().contiguous() for name, value in tensors.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _warned(code: str, *, name: str = "", error: object = None) -> Warned:
    return Warned.of(code, name=name, error=error)
