"""A model on its way into a shared place: contents first, and last the pointer that makes them a version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from modelnook.catalog.base import Parcel
from modelnook.catalog.shared_aliases import Aliases
from modelnook.catalog.shared_layout import (
    LAYOUT,
    File,
    Version,
    blob,
    check_alias,
    manifest_of,
    model_folder,
    printable,
)
from modelnook.catalog.shared_place import CHUNK, GRACE
from modelnook.catalog.transfer import Tally
from modelnook.catalog.variants import digest_of
from modelnook.domain.errors import ConflictError, StoreError
from modelnook.domain.event import Emit
from modelnook.domain.model import ModelInfo
from modelnook.store.runs import now

if TYPE_CHECKING:
    from modelnook.catalog.shared import SharedSource

__all__ = ["Delivery", "digest"]

_TRIES = 1000


class Delivery:
    """One publication. Killed at any moment it leaves contents that nobody refers to, which ``sources gc`` removes."""

    def __init__(
        self, source: SharedSource, id: str, parcel: Parcel, emit: Emit, stop: Callable[[], bool] = lambda: False
    ) -> None:
        self.source, self.place, self.id, self.parcel, self.emit = source, source.place, id, parcel, emit
        self._stop, self._clock = stop, 0.0

    def run(self) -> Version:
        """Send what isn't there yet; the same files as the newest version's make no second one.

        Raises:
            StoreError, RefusedError: the place can't be written.
            ConflictError: there is a model whose name differs in case alone; or stopped before it is a version.
        """
        for name in self.parcel.alias:
            check_alias(name)
        self._same_in_other_letters()
        files = [_file(name, content) for name, content in self.parcel.files.items()]
        info = self.parcel.info
        about = {"name": self.id, "licenses": [info.license] if info.license else [], "title": info.task or ""}
        manifest, config = manifest_of(files, about)
        blobs = {f.sha256: self.parcel.files[f.name] for f in files}
        blobs |= {hashlib.sha256(data).hexdigest(): data for data in (config, manifest)}
        name = hashlib.sha256(manifest).hexdigest()
        version = self._already(name)
        if version is None:
            self._send(blobs)
            # From here on it is a version, and is finished.
            self._stop = lambda: False
            version = self._point(name, replace(info, digest=digest_of((f.name, f.sha256) for f in files)))
            # A collector that looked before these contents were young again may just have removed one.
            self._send({sha: content for sha, content in blobs.items() if self.place.size(blob(sha)) is None})
        for alias in self.parcel.alias:
            Aliases(self.place, self.id).set(alias, version.number)
        return version

    def _same_in_other_letters(self) -> None:
        others = [n for n in self.source.names() if n != self.id and n.casefold() == self.id.casefold()]
        if others:
            raise ConflictError("shared.other_case", id=self.id, other=others[0], source=self.source.name)

    def _already(self, manifest: str) -> Version | None:
        held = self.source.versions(self.id)
        if not held:
            return None
        try:
            newest = self.source.version(self.id, held[-1])
        except StoreError:
            return None
        return newest if newest.manifest == manifest else None

    def _send(self, blobs: dict[str, Path | bytes]) -> None:
        if not blobs:
            return
        self.place.put_new("oci-layout", LAYOUT)
        self._clock = self._clock or self.place.now()
        total = sum(_size(content) for content in blobs.values())
        tally = Tally(f"{self.source.name}:{self.id}", total, self.emit, self._stop, sending=True)
        tally.check()
        for sha256, content in blobs.items():
            path, size = blob(sha256), _size(content)
            if self._young(path, size):
                tally.count(size)
                continue
            self.place.put(path, content, tally.count)
            if self.place.size(path) != size:
                raise StoreError("shared.cut", place=self.place.url)
        tally.finish()

    def _young(self, path: str, size: int) -> bool:
        """Whether a content is there and safe from a collector until this publication is over."""
        if self.place.size(path) != size:
            return False
        modified = self.place.modified(path)
        return modified is not None and self._clock - modified < GRACE / 2

    def _point(self, manifest: str, info: ModelInfo) -> Version:
        nonce = token_hex(8)
        number = self.source.highest(self.id) + 1
        for _ in range(_TRIES):
            author = printable(self.parcel.author)
            version = Version(self.id, number, manifest, author, now(), info, nonce)
            path = f"{model_folder(self.id)}/v/{number:06}.json"
            # A client that tries again after a lost answer finds what it put itself.
            if self.place.put_new(path, version.to_bytes()) or self._mine(number, nonce):
                return version
            number += 1
        raise StoreError("shared.cut", place=self.place.url)

    def _mine(self, number: int, nonce: str) -> bool:
        try:
            return self.source.version(self.id, number).nonce == nonce
        except StoreError:
            return False


def _file(name: str, content: Path | bytes) -> File:
    return File(name, digest(content), _size(content))


def digest(content: Path | bytes) -> str:
    """The sha256 of a content, in hex."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    found = hashlib.sha256()
    with content.open("rb") as file:
        while part := file.read(CHUNK):
            found.update(part)
    return found.hexdigest()


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size
