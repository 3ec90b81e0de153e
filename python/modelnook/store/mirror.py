"""The seam that every finished checkpoint, model and run record passes: where a copy can be sent elsewhere.

Hosted machines are taken away without a word. With ``MODELNOOK_MIRROR`` set to a mounted folder (a drive, a team's
share), copies follow by themselves; another kind of place is another class with the same three methods.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Protocol

from modelnook.settings import Settings
from modelnook.store.files import folder, temporary

__all__ = ["FolderMirror", "Mirror", "NoMirror", "mirror_of"]


class Mirror(Protocol):
    """Where copies go. A failed copy is the mirror's own business: it must not fail the run."""

    def checkpoint(self, run: str, path: Path) -> None:
        """A checkpoint folder was finished."""

    def record(self, run: str, path: Path) -> None:
        """A run's folder holds a new final record."""

    def model(self, name: str, path: Path) -> None:
        """A model revision was finished."""


class NoMirror:
    """The default: nothing leaves the store."""

    def checkpoint(self, run: str, path: Path) -> None:
        """Nothing."""

    def record(self, run: str, path: Path) -> None:
        """Nothing."""

    def model(self, name: str, path: Path) -> None:
        """Nothing."""


class FolderMirror:
    """Copies into another folder, laid out like the store. Old checkpoints of a run make room for the new one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def checkpoint(self, run: str, path: Path) -> None:
        """Copy a checkpoint, then drop the run's older ones."""
        target = self.path / "runs" / run / "checkpoints"
        self._copy(path, target / path.name)
        for old in sorted(target.glob("[!.]*"))[:-1]:
            shutil.rmtree(old, ignore_errors=True)

    def record(self, run: str, path: Path) -> None:
        """Copy what a run's folder holds beside its checkpoints."""
        for entry in path.iterdir():
            if entry.name not in ("checkpoints", "lease", "tracking") and not entry.name.startswith("."):
                self._copy(entry, self.path / "runs" / run / entry.name)

    def model(self, name: str, path: Path) -> None:
        """Copy a model revision."""
        self._copy(path, self.path / "models" / name / path.name)

    def _copy(self, source: Path, target: Path) -> None:
        folder(target.parent)
        temp = temporary(target)
        if source.is_dir():
            shutil.copytree(source, temp)
            if target.exists():
                shutil.rmtree(target)
        else:
            shutil.copy2(source, temp)
        os.replace(temp, target)


def mirror_of(settings: Settings) -> Mirror:
    """The mirror that the person set, or none."""
    return FolderMirror(settings.mirror) if settings.mirror else NoMirror()
