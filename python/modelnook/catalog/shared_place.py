"""Where a team's models lie: a folder on a (network) disk, or a bucket. The few operations that both can do safely.

Paths are relative to the place, with ``/``. What may be trusted everywhere is one thing alone: putting a file whole
and only where there is none. A place that can't do that is refused when the source is added.
"""

from __future__ import annotations

import errno
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from modelnook.domain.errors import ModelnookError, NotFoundError, OfflineError, RefusedError, StoreError, UsageError
from modelnook.settings import current

__all__ = ["CHUNK", "GRACE", "FolderPlace", "Place", "place_of", "told"]

CHUNK = 4 << 20
GRACE = 24 * 3600.0
"""Seconds that a content stays without a version: whoever sent or reads it may still be at work. By the place's clock.
"""
# How buckets refuse a request whose time is minutes off theirs: S3 by a code and in words, Azure, Google.
_SKEWED = ("RequestTimeTooSkewed", "difference between the request time", "date header too old", "reasonable timeframe")
# EINVAL is what Windows makes of it.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)


class Place(ABC):
    """A tree of files that several people write to at once.

    Args:
        url: as the person gave it; without a secret in it.
        source: the name that errors call it by.
    """

    networked = False

    def __init__(self, url: str, source: str) -> None:
        self.url, self.source = url, source

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """A file's content; None where there is none."""

    @abstractmethod
    def size(self, path: str) -> int | None:
        """A file's bytes; None where there is none."""

    @abstractmethod
    def modified(self, path: str) -> float | None:
        """When a file was put, in seconds by the place's own clock; None where there is none."""

    @abstractmethod
    def walk(self, path: str) -> dict[str, int]:
        """Every file below ``path`` and its bytes; temporary ones are left out."""

    def names(self, path: str) -> list[str]:
        """Every file below ``path``; asks nothing else of them."""
        return list(self.walk(path))

    @abstractmethod
    def chunks(self, path: str, start: int) -> Iterator[bytes]:
        """A file's content from a byte on."""

    @abstractmethod
    def put_new(self, path: str, data: bytes) -> bool:
        """Create a file whole, only where there is none; True for the one writer that did."""

    @abstractmethod
    def put(self, path: str, data: bytes | Path, tell: Callable[[int], None] = lambda size: None) -> None:
        """Create or replace a file whole. ``tell`` is called with the bytes of each part; what it raises ends it."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""

    @abstractmethod
    def sweep(self, before: float) -> tuple[int, int]:
        """Remove what killed writers left unseen before a time of the place's clock; ``(how many, bytes)``."""

    def now(self) -> float:
        """The time by the place's own clock: a machine whose clock is off must not judge what is old.

        Raises:
            StoreError, RefusedError: nothing can be written there.
        """
        path = f"cache/clock-{secrets.token_hex(4)}"
        self.put(path, b"")
        try:
            return self.modified(path) or 0.0
        finally:
            self.remove(path)


@contextmanager
def told(place: Place, path: str = "") -> Iterator[None]:
    """Turn what a disk or a bucket's client raises into one sentence that names the place."""
    try:
        yield
    except ModelnookError:
        raise
    except Exception as error:
        if _clock_is_off(error):
            raise StoreError("shared.clock", place=place.url, source=place.source) from error
        if isinstance(error, OSError):
            raise _translate(error, place, path) from error
        # Clients of buckets raise their own; the name of the class says what it was and holds no secret.
        if type(error).__module__.split(".")[0] in ("botocore", "aiobotocore", "aiohttp", "google", "gcsfs", "azure"):
            raise _of_a_client(error, place) from error
        raise


def _clock_is_off(error: BaseException) -> bool:
    """Whether an error, or what it comes from, tells that this machine's time isn't the place's."""
    said = str(error)
    return any(word in said for word in _SKEWED) or (error.__cause__ is not None and _clock_is_off(error.__cause__))


def _of_a_client(error: Exception, place: Place) -> ModelnookError:
    """By the server's answer, where there was one: a container that is missing isn't out of reach."""
    said = {"place": place.url, "source": place.source}
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    if status == 404:
        return NotFoundError("shared.no_place", **said)
    if status in (401, 403):
        return RefusedError("shared.forbidden", **said)
    return OfflineError("shared.unreachable", why=type(error).__name__, **said)


def _translate(error: OSError, place: Place, path: str) -> ModelnookError:
    said = {"place": place.url, "source": place.source}
    if error.errno == errno.EROFS:
        return StoreError("shared.read_only", **said)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError("shared.full", **said)
    if isinstance(error, PermissionError):
        return RefusedError("shared.forbidden", **said)
    if isinstance(error, FileNotFoundError):
        return NotFoundError("shared.no_place", **said)
    return OfflineError("shared.unreachable", why=error.strerror or type(error).__name__, **said)


class FolderPlace(Place):
    """A folder: a hard link is atomic and refuses an existing name on every local and network disk that has links.

    Elsewhere (FAT, some SMB and FUSE mounts) whoever creates a claim beside the name may put the whole file there.
    """

    def __init__(self, url: str, source: str) -> None:
        super().__init__(url, source)
        self.root = Path(url).expanduser()

    def read(self, path: str) -> bytes | None:
        with told(self, path):
            try:
                return (self.root / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def size(self, path: str) -> int | None:
        found = self._stat(path)
        return found.st_size if found else None

    def modified(self, path: str) -> float | None:
        found = self._stat(path)
        return found.st_mtime if found else None

    def _stat(self, path: str) -> os.stat_result | None:
        with told(self, path):
            try:
                return (self.root / path).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def walk(self, path: str) -> dict[str, int]:
        return {name: found.st_size for name, found in self._files(path) if not _temporary(name)}

    def sweep(self, before: float) -> tuple[int, int]:
        left = [(name, f.st_size) for name, f in self._files("") if _temporary(name) and f.st_mtime < before]
        for name, _ in left:
            self.remove(name)
        return len(left), sum(size for _, size in left)

    def names(self, path: str) -> list[str]:
        return [name for name in self._names(path) if not _temporary(name)]

    def _names(self, path: str) -> list[str]:
        with told(self, path):
            if not self.root.is_dir():
                raise FileNotFoundError(self.root)
            tree = os.walk(self.root / path)
            return [Path(at, name).relative_to(self.root).as_posix() for at, _, names in tree for name in names]

    def _files(self, path: str) -> Iterator[tuple[str, os.stat_result]]:
        for name in self._names(path):
            found = self._stat(name)
            if found is not None:
                yield name, found

    def chunks(self, path: str, start: int) -> Iterator[bytes]:
        with told(self, path), (self.root / path).open("rb") as file:
            file.seek(start)
            while part := file.read(CHUNK):
                yield part

    def put_new(self, path: str, data: bytes) -> bool:
        with self._written(path, data) as (temp, target):
            try:
                os.link(temp, target)
                return True
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
            return _claimed(temp, target)

    def put(self, path: str, data: bytes | Path, tell: Callable[[int], None] = lambda size: None) -> None:
        with self._written(path, data, tell) as (temp, target):
            os.replace(temp, target)

    @contextmanager
    def _written(
        self, path: str, data: bytes | Path, tell: Callable[[int], None] = lambda size: None
    ) -> Iterator[tuple[Path, Path]]:
        """``(a temporary file that holds the data, the target)``; the temporary one is removed afterwards."""
        target = self.root / path
        temp = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        with told(self, path):
            self._folder(target.parent)
            try:
                with temp.open("xb") as out:
                    if isinstance(data, bytes):
                        out.write(data)
                        tell(len(data))
                    else:
                        with data.open("rb") as source:
                            while part := source.read(CHUNK):
                                out.write(part)
                                tell(len(part))
                    out.flush()
                    os.fsync(out.fileno())
                _like_above(temp, 0o666)
                yield temp, target
            finally:
                temp.unlink(missing_ok=True)

    def _folder(self, path: Path) -> None:
        """Make a folder, and those above it."""
        if path.is_dir():
            return
        if path == self.root:
            raise FileNotFoundError(path)
        self._folder(path.parent)
        path.mkdir(exist_ok=True)
        _like_above(path, 0o7777)

    def remove(self, path: str) -> None:
        with told(self, path):
            (self.root / path).unlink(missing_ok=True)


def _claimed(temp: Path, target: Path) -> bool:
    """Put a whole file where there is none, where there are no links; True for the one writer that did.

    The claim of a writer that was killed here keeps the name from everybody until :meth:`Place.sweep`; there is
    nothing to read under it.
    """
    claim = target.with_name(f".{target.name}.claim.tmp")
    try:
        claim.open("xb").close()
    except FileExistsError:
        return False
    try:
        if target.exists():
            return False
        os.replace(temp, target)
        return True
    finally:
        claim.unlink(missing_ok=True)


def _like_above(path: Path, bits: int) -> None:
    """Let a file or folder be used by whoever may use the folder that it lies in; some disks have no such bits."""
    try:
        path.chmod(path.parent.stat().st_mode & bits)
    except OSError:
        return


def _temporary(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith(".") and name.endswith(".tmp")


def place_of(url: str, source: str) -> Place:
    """The place that a URL or path names; nothing is opened.

    Raises:
        UsageError: no path or address, or one with a secret in it.
        MissingPackage: the client library of its kind isn't installed.
        OfflineError: a bucket, while offline.
    """
    if not url.strip() or any(ord(c) < 32 for c in url):
        raise UsageError("shared.bad_url", url=url.strip())
    if "::" in url:
        raise UsageError("shared.bad_url", url=url)
    if "://" not in url:
        return FolderPlace(url, source)
    parts = urlsplit(url)
    if parts.scheme in ("file", "local"):
        return FolderPlace(parts.netloc + parts.path, source)
    if parts.password or parts.query or (parts.username and parts.scheme not in ("abfs", "abfss", "az")):
        raise UsageError("shared.secret_url", scheme=parts.scheme)
    if current().offline and parts.scheme != "memory":
        raise OfflineError("shared.offline", source=source)
    from modelnook.catalog.shared_bucket import BucketPlace

    return BucketPlace(url, source)
