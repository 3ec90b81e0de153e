"""What of a team's models lies on this machine: whole versions, and parts of files that go on where they were cut."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from modelnook.catalog.base import Held
from modelnook.catalog.shared_layout import File, Version, blob, model_folder
from modelnook.catalog.shared_place import CHUNK, Place
from modelnook.catalog.transfer import alone
from modelnook.domain.errors import ConflictError, StoreError
from modelnook.domain.event import Emit, Progress
from modelnook.domain.model import ModelRef
from modelnook.settings import current
from modelnook.store.files import disk_errors, folder, folder_bytes, read_json, remove, staging, write_json

__all__ = ["SharedCache"]

_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".joblib", ".npy", ".npz")
_CODE = (".py", ".pyc", ".so", ".dll", ".dylib", ".sh", ".exe")
_TELL_EVERY = 0.2
# Says whose the parts of an unfinished download are; it ends as they do, and is cleared away with them.
_NOTE = ".note.incomplete"


class SharedCache:
    """``MODELNOOK_HOME/cache/folder/PLACE/``: a folder a version, whole or not there."""

    def __init__(self, url: str) -> None:
        name = re.sub(r"[^a-z0-9.]+", "-", url.lower()).strip("-.")[-40:]
        self.path = current().home / "cache" / "folder" / f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"

    def folder(self, id: str, number: str) -> Path | None:
        """A version's folder, if it is here."""
        path = self._model(id) / number
        return path if path.is_dir() else None

    def newest(self, id: str) -> str | None:
        """The highest version of a model that is here."""
        place = self._model(id)
        held = [int(p.name) for p in place.iterdir() if p.name.isdecimal()] if place.is_dir() else []
        return str(max(held)) if held else None

    def names(self) -> list[str]:
        """The ids of which a version is here."""
        held = (p.relative_to(self.path / "models").as_posix() for p in self.path.glob("models/*/*"))
        return sorted(name.removeprefix("_/") for name in held)

    def held(self, source: str) -> list[Held]:
        """Every version that is here, and what unfinished downloads have left."""
        whole = [
            Held(ModelRef(source, id, path.name), folder_bytes(path), path.stat().st_mtime)
            for id in self.names()
            for path in sorted(self._model(id).iterdir())
            if path.name.isdecimal()
        ]
        begun = {id: [part.stat() for part in parts] for id, parts in self._begun().items()}
        return whole + [
            Held(ModelRef(source, id), sum(s.st_size for s in stats), max(s.st_mtime for s in stats), part=True)
            for id, stats in begun.items()
        ]

    def discard(self, id: str, number: str | None) -> None:
        """Remove a version, or all of a model's, parts of downloads included."""
        remove(self._model(id) / number if number else self._model(id))
        for part in () if number else self._begun().get(id, ()):
            part.unlink(missing_ok=True)

    def _begun(self) -> dict[str, list[Path]]:
        """Model -> the parts that downloads of it have left: a part's own name says only what it will hold."""
        found: dict[str, list[Path]] = {}
        for note in sorted(self.path.glob(f"parts/*{_NOTE}")):
            said = read_json(note)
            if isinstance(said, dict) and isinstance(said.get("parts"), list):
                parts = [self.path / "parts" / Path(str(name)).name for name in said["parts"]]
                found.setdefault(str(said.get("id")), []).extend(p for p in (*parts, note) if p.is_file())
        return found

    def _model(self, id: str) -> Path:
        return self.path / model_folder(id)

    def bring(
        self,
        place: Place,
        version: Version,
        files: Sequence[File],
        shown: str,
        emit: Emit,
        stop: Callable[[], bool],
        *,
        allow_pickle: bool = False,
    ) -> Path:
        """A version's folder with every file checked; pickles and programs stay where they are."""
        unwanted = _CODE if allow_pickle else (*_CODE, *_PICKLES)
        wanted = [f for f in files if not f.name.lower().endswith(unwanted)]
        target = self._model(version.id) / str(version.number)
        with disk_errors(self.path):
            folder(self.path / "parts")
            bringing = _Bringing(place, self.path / "parts", shown, emit, stop, wanted)
            with alone(self.path / "parts" / f"{version.manifest}.lock", bringing.check):
                if target.is_dir():
                    return target
                note = self.path / "parts" / f"{version.manifest}{_NOTE}"
                write_json(note, {"id": version.id, "parts": bringing.names()})
                bringing.run(target)
                note.unlink(missing_ok=True)
        return target


class _Bringing:
    """One version on its way."""

    def __init__(
        self,
        place: Place,
        parts: Path,
        shown: str,
        emit: Emit,
        stop: Callable[[], bool],
        files: Sequence[File],
    ) -> None:
        self.place, self.parts, self.shown, self.emit, self.stop, self.files = place, parts, shown, emit, stop, files
        self.total = sum(f.size for f in files)
        self.done, self._told = 0, 0.0

    def run(self, target: Path) -> None:
        held = sum(p.stat().st_size for f in self.files if (p := self._part(f)).exists())
        if self.total - held > shutil.disk_usage(self.parts).free:
            raise StoreError("store.disk_full", path=self.parts)
        contents = sorted({f.sha256: f for f in self.files}.values(), key=lambda f: (f.size, f.sha256))
        # Another version may have the same content on its way: until what is here has its place, the part is ours.
        # All take them in one order, the small ones first, so that no two wait for each other.
        with ExitStack() as ours:
            for file in contents:
                ours.enter_context(alone(self.parts / f"{file.sha256}.lock", self.check))
                self._get(file)
            self._put(target)
        self._tell(force=True)

    def check(self) -> None:
        """Raise ConflictError where it is to stop."""
        if self.stop():
            raise ConflictError("hub.stopped", ref=self.shown)

    def _put(self, target: Path) -> None:
        """What the parts hold as a folder, in one step."""
        with staging(target) as temp:
            for file in self.files:
                out = temp / file.name
                out.parent.mkdir(parents=True, exist_ok=True)
                # A content may be in a version under two names.
                shutil.copyfile(self._part(file), out) if self._shared(file) else os.replace(self._part(file), out)
            for file in self.files:
                self._part(file).unlink(missing_ok=True)
            os.rename(temp, target)

    def names(self) -> list[str]:
        """The names of the parts."""
        return sorted({self._part(f).name for f in self.files})

    def _shared(self, file: File) -> bool:
        return sum(f.sha256 == file.sha256 for f in self.files) > 1

    def _part(self, file: File) -> Path:
        return self.parts / f"{file.sha256}.incomplete"

    def _get(self, file: File) -> None:
        """A content from where its part ends; the part of a wrong one is removed, so that the next try begins anew."""
        part = self._part(file)
        have = part.stat().st_size if part.exists() else 0
        if have > file.size:
            part.unlink()
            have = 0
        self._count(have)
        with part.open("ab") as out:
            if have < file.size and self.place.size(blob(file.sha256)) == file.size:
                for chunk in self.place.chunks(blob(file.sha256), have):
                    out.write(chunk)
                    have += len(chunk)
                    if have > file.size:
                        break
                    self._count(len(chunk))
        if _sha256(part) != file.sha256:
            part.unlink()
            raise StoreError("shared.damaged", file=file.name, ref=self.shown)

    def _count(self, size: int) -> None:
        self.done += size
        self._tell()

    def _tell(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._told >= _TELL_EVERY:
            self._told = now
            self.emit(
                Progress("downloading", step=self.total if force else min(self.done, self.total), total=self.total)
            )
        self.check()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(CHUNK):
            digest.update(part)
    return digest.hexdigest()
