"""Models brought here as plain folders: ``cache/KIND/HOST/ID/REVISION``, each visible only when it is whole."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from modelnook.catalog.base import Held
from modelnook.catalog.folder import describe
from modelnook.catalog.transfer import alone
from modelnook.domain.errors import ConflictError
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.settings import current
from modelnook.store.files import disk_errors, folder_bytes, remove

__all__ = ["FolderCache", "cache_folder"]

_STAGE = ".part"


def cache_folder(kind: str, endpoint: str) -> Path:
    """The cache of an endpoint, below MODELNOOK_HOME."""
    host = re.sub(r"[^a-z0-9.]+", "-", urlsplit(endpoint).netloc.lower()).strip("-")
    return current().home / "cache" / kind / f"{host}-{sha256(endpoint.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class FolderCache:
    """The models of one endpoint on this machine.

    >>> FolderCache(Path("c")).path_of("owner/name", "v1").as_posix()
    'c/owner%2Fname/v1'
    """

    path: Path

    def path_of(self, id: str, revision: str) -> Path:
        """Where a revision lies, or would lie."""
        return self.path / _name(id) / _name(revision)

    def folder(self, id: str, revision: str | None = None) -> Path | None:
        """The folder of a revision that is here whole; without one, of the newest here."""
        held = [self.path_of(id, revision)] if revision else _revisions(self.path / _name(id))
        return next((f for f in held if f.is_dir()), None)

    def revision_of(self, folder: Path) -> str:
        """The revision that a folder of this cache holds."""
        return unquote(folder.name)

    def names(self) -> list[str]:
        """The ids of the models that are here."""
        return sorted(unquote(f.name) for f in _folders(self.path) if _revisions(f))

    def entries(self, source: str) -> list[ModelInfo]:
        """The newest revision here of each model, by what its folder says; its list, where a source has none."""
        held = ((id, self.folder(id)) for id in self.names())
        return [_entry(folder, source, id) for id, folder in held if folder is not None]

    def fill(self, id: str, revision: str, ref: str, stop: Callable[[], bool], work: Callable[[Path], None]) -> Path:
        """The folder of a revision; ``work`` fills one beside it first, which takes its place when all went well.

        What ``work`` leaves when it fails waits for the next time. One process at a time fills it; another waits.

        Raises:
            ConflictError: stopped while another filled it.
            StoreError: no room.
        """

        def check() -> None:
            if stop():
                raise ConflictError("hub.stopped", ref=ref)

        target = self.path_of(id, revision)
        stage = target.with_name(f".{target.name}{_STAGE}")
        with disk_errors(self.path):
            target.parent.mkdir(parents=True, exist_ok=True)
            with alone(target.with_name(f".{target.name}.lock"), check):
                if not target.is_dir():
                    stage.mkdir(exist_ok=True)
                    work(stage)
                    os.rename(stage, target)
        return target

    def held(self, source: str) -> list[Held]:
        """Every revision that is here, and what unfinished downloads have left."""
        found = []
        for model in _folders(self.path):
            for folder in _revisions(model):
                ref = ModelRef(source, unquote(model.name), unquote(folder.name))
                found.append(Held(ref, folder_bytes(folder), folder.stat().st_mtime))
            for stage in model.glob(f".*{_STAGE}"):
                ref = ModelRef(source, unquote(model.name))
                found.append(Held(ref, folder_bytes(stage), stage.stat().st_mtime, part=True))
        return found

    def discard(self, id: str, revision: str | None) -> None:
        """Remove a revision, or all of a model."""
        if revision:
            remove(self.path_of(id, revision))
        else:
            remove(self.path / _name(id))


@lru_cache(maxsize=500)
def _entry(folder: Path, source: str, id: str) -> ModelInfo:
    # A revision's folder doesn't change.
    more = {"name": id.rpartition("/")[2], "revision": unquote(folder.name)}
    return describe(folder, ref=f"{source}:{id}", id=id, source=source, **more)


def _name(text: str) -> str:
    """A text as a file's name; ``.`` and ``..`` can't be one."""
    name = quote(text, safe="")
    # A name that begins with a dot is hidden, or no name at all.
    return f"%2E{name[1:]}" if name.startswith(".") else name


def _folders(path: Path) -> list[Path]:
    return sorted(f for f in path.iterdir() if f.is_dir() and not f.name.startswith(".")) if path.is_dir() else []


def _revisions(model: Path) -> list[Path]:
    """A model's revisions here, the one that was fetched last first."""
    return sorted(_folders(model), key=lambda f: f.stat().st_mtime, reverse=True)
