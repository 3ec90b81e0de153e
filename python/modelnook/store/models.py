"""Models made or imported here: ``models/NAME/N/`` is revision N, a folder that stands alone. No N is used twice."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from modelnook.domain.errors import ConflictError, NotFoundError, UsageError, near
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.store.files import folder, folder_bytes, read_json, remove, write_json

__all__ = ["CARD", "LocalModels", "model_bytes"]

CARD = "modelnook.json"
"""The file in a model's folder that holds its catalogue entry."""

_NUMBERS = ".numbers"
"""The folder of files, one a name, that hold the highest number which ``rm`` or ``rename`` took away."""

_NAME = re.compile(r"[^\W_][\w.-]{0,99}")


def model_bytes(path: Path) -> int:
    """Bytes of all of a model's own files: the same before it is in the store and after."""
    entry = path / CARD
    return folder_bytes(path) - (entry.stat().st_size if entry.is_file() else 0)


class LocalModels:
    """The folder ``models``. A revision appears whole, by one rename, and is never changed after."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, name: str, task: str | None = None) -> None:
        """Refuse a name that can't be one, or that a model of another task holds.

        Raises:
            UsageError: not a name.
            ConflictError: a model of another task holds it.
        """
        if not _NAME.fullmatch(name):
            raise UsageError("store.bad_name", name=name)
        newest = self.newest(name)
        held = self.info(name, newest).task if newest else None
        if task and held and held != task:
            raise ConflictError("store.other_task", name=name, task=held, wanted=task)

    def names(self) -> list[str]:
        """Every model that has a finished revision."""
        folder(self.path)
        return sorted(e.name for e in os.scandir(self.path) if not e.name.startswith(".") and self.revisions(e.name))

    def revisions(self, name: str) -> list[int]:
        """A model's finished revisions, oldest first."""
        try:
            return sorted(int(n) for n in os.listdir(self.path / name) if n.isdigit())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def newest(self, name: str) -> int | None:
        """The newest finished revision."""
        held = self.revisions(name)
        return held[-1] if held else None

    def folder(self, name: str, revision: str | int | None = None) -> Path:
        """The folder of a revision, the newest by default.

        Raises:
            NotFoundError: no such model or revision here.
        """
        held = self.revisions(name) if _NAME.fullmatch(name) else []
        if not held:
            close = near(name, self.names())
            code = "store.no_model_near" if close else "store.no_model"
            raise NotFoundError(code, name=name, near=close)
        wanted = str(revision) if revision is not None else str(held[-1])
        if wanted not in map(str, held):
            raise NotFoundError("store.no_revision", name=name, revision=wanted, known=", ".join(map(str, held)))
        return self.path / name / wanted

    def info(self, name: str, revision: str | int | None = None) -> ModelInfo:
        """The catalogue entry of a revision."""
        path = self.folder(name, revision)
        data = read_json(path / CARD)
        ref = f"local:{name}@{path.name}"
        info = ModelInfo.from_dict(data) if isinstance(data, dict) else ModelInfo(ref, name, "local")
        return replace(info, ref=ref, id=name, source="local", revision=path.name, name=name, path=str(path))

    def all(self) -> Iterator[ModelInfo]:
        """The newest revision of each model."""
        for name in self.names():
            try:
                yield self.info(name)
            except NotFoundError:
                continue

    def every(self) -> Iterator[ModelInfo]:
        """All revisions of each model, the newest of one first."""
        for name in self.names():
            for revision in reversed(self.revisions(name)):
                try:
                    yield self.info(name, revision)
                except NotFoundError:
                    continue

    def add(self, name: str, source: Path, info: ModelInfo) -> ModelRef:
        """Make a finished folder the next revision, moving it; two at once get two numbers.

        ``source`` must lie on the same file system (a run's folder does).
        """
        self.check(name, info.task)
        target = folder(self.path / name)
        # In this order: rm says which numbers were given before it takes the folders away.
        held = self.newest(name) or 0
        number = max(held, self._given(name)) + 1
        while True:
            ref = ModelRef("local", name, str(number))
            card = replace(info, ref=str(ref), id=name, source="local", revision=str(number), name=name, path=None)
            write_json(source / CARD, replace(card, bytes=model_bytes(source)).to_dict(), durable=True)
            try:
                os.rename(source, target / str(number))
                return ref
            except OSError:
                # A non-empty folder of that number refuses the rename: somebody was faster.
                if not (target / str(number)).exists():
                    raise
                number += 1

    def note(self, name: str, revision: str, digest: str) -> None:
        """Keep in a revision's entry what its weights' checksums make together, which nothing else of it changes."""
        held = self.info(name, revision)
        if held.digest != digest:
            write_json(
                self.folder(name, revision) / CARD, replace(held, path=None, digest=digest).to_dict(), durable=True
            )

    def remove(self, name: str, revision: str | None = None) -> None:
        """Remove a revision, or the whole model."""
        path = self.folder(name, revision)
        self._retire(name)
        remove(path if revision is not None else path.parent)

    def rename(self, name: str, new: str) -> dict[str, str]:
        """Give a model another name; old reference -> new one, of each revision.

        Raises:
            ConflictError: the name is taken.
        """
        self.check_rename(name, new)
        held = self.revisions(name)
        # Numbers that the new name once gave stay those models'.
        shift = max(0, self._given(new) + 1 - held[0])
        self._retire(name)
        # Under the old name, so that a kill in between leaves a whole model that can be renamed again.
        for number in reversed(held) if shift else ():
            os.rename(self.path / name / str(number), self.path / name / str(number + shift))
        os.rename(self.path / name, self.path / new)
        known = {f"local:{name}@{n}": f"local:{new}@{n + shift}" for n in held}
        self._relink(known)
        return known

    def _relink(self, known: Mapping[str, str]) -> None:
        """Let the entries of what was made from renamed models say their new references."""
        for info in self.every():
            bases = tuple(known.get(base, base) for base in info.bases)
            base = known.get(info.base_model or "", info.base_model)
            if (base, bases) != (info.base_model, info.bases):
                told = replace(info, path=None, base_model=base, bases=bases)
                write_json(self.folder(info.id, info.revision) / CARD, told.to_dict(), durable=True)

    def check_rename(self, name: str, new: str) -> None:
        """Refuse what :meth:`rename` can't do.

        Raises:
            NotFoundError: no such model.
            UsageError: not a name.
            ConflictError: the name is taken.
        """
        self.folder(name)
        self.check(new)
        if self.revisions(new):
            raise ConflictError("store.name_taken", name=new)

    def _given(self, name: str) -> int:
        """The highest number of a revision that is gone: runs and cards mean that model by it, so none has it again."""
        said = read_json(self.path / _NUMBERS / name)
        return said if isinstance(said, int) else 0

    def _retire(self, name: str) -> None:
        newest = max(self.newest(name) or 0, self._given(name))
        write_json(self.path / _NUMBERS / name, newest, durable=True)
