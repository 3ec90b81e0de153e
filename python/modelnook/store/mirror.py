"""The seam that every finished checkpoint, model and run record passes: where a copy can be sent elsewhere.

Hosted machines are taken away without a word. With ``MODELNOOK_MIRROR`` set to a mounted folder (a drive, a team's
share), copies follow by themselves; another kind of place is another class with the same three methods.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from modelnook.domain.errors import StoreError
from modelnook.domain.event import Emit, Warned
from modelnook.settings import Settings
from modelnook.store.files import folder, temporary

__all__ = ["FolderMirror", "Mirror", "NoMirror", "mirror_of"]


class Mirror(Protocol):
    """Where copies go. A failed copy is the mirror's own business: it is a warning and must not fail the run."""

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
    """Copies into another folder, laid out like the store. Old checkpoints of a run make room for the new one.

    Args:
        path: the folder; it may be away for a while, so each copy is tried.
        emit: told of the first copy that failed.
    """

    def __init__(self, path: Path, emit: Emit = lambda event: None) -> None:
        self.path = path
        self.emit = emit
        self._warned = False

    def checkpoint(self, run: str, path: Path) -> None:
        """Copy a checkpoint, then drop the run's older ones; the best so far stays beside the newest."""
        target = self.path / "runs" / run / "checkpoints"
        if self._copy(path, target / path.name):
            steps = sorted(p for p in target.glob("[!.]*") if p.name != "best")
            for old in steps[:-1]:
                shutil.rmtree(old, ignore_errors=True)

    def record(self, run: str, path: Path) -> None:
        """Copy what a run's folder holds beside its checkpoints."""
        for entry in path.iterdir():
            if entry.name not in ("checkpoints", "lease", "tracking") and not entry.name.startswith("."):
                self._copy(entry, self.path / "runs" / run / entry.name)

    def model(self, name: str, path: Path) -> None:
        """Copy a model revision."""
        self._copy(path, self.path / "models" / name / path.name)

    def _copy(self, source: Path, target: Path) -> bool:
        temp = temporary(target)
        try:
            folder(target.parent)
            if source.is_dir():
                shutil.copytree(source, temp)
                if target.exists():
                    shutil.rmtree(target)
            else:
                shutil.copy2(source, temp)
            os.replace(temp, target)
        except (OSError, StoreError) as error:
            shutil.rmtree(temp, ignore_errors=True)
            with suppress(OSError):
                temp.unlink(missing_ok=True)
            self._warn(error)
            return False
        return True

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            cause = error.__cause__ if isinstance(error, StoreError) else error
            why = getattr(cause, "strerror", None) or str(error)[:200]
            self.emit(Warned.of("store.mirror_failed", path=self.path, error=why))


def mirror_of(settings: Settings, emit: Emit = lambda event: None) -> Mirror:
    """The mirror that the person set, or none. ``emit`` is told where a copy fails."""
    return FolderMirror(settings.mirror, emit) if settings.mirror else NoMirror()
