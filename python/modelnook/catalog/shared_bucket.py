"""A bucket, or whatever else fsspec reaches that can put a file only where there is none."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from modelnook.catalog.shared_place import CHUNK, Place, told
from modelnook.domain.errors import MissingPackage, UnsupportedError
from modelnook.messages import t

__all__ = ["SCHEMES", "BucketPlace"]

# scheme -> (the package that fsspec needs for it, our extra)
_CLIENTS = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gs"),
    "gcs": ("gcsfs", "gs"),
    "abfs": ("adlfs", "abfs"),
    "abfss": ("adlfs", "abfs"),
    "az": ("adlfs", "abfs"),
}
SCHEMES = ("file", "local", *_CLIENTS)
"""Beginnings of addresses that are known as a folder's or bucket's."""

_S3 = {"config_kwargs": {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 3, "mode": "standard"}}}

# Clients that take a part's size; each part is a moment at which progress is told and a stop is heard.
_IN_PARTS = ("s3", "s3a", "gs", "gcs")
_PART = 8 << 20


class BucketPlace(Place):
    """See :class:`Place`. Whoever may read and write is the bucket's business: credentials are its client's own."""

    def __init__(self, url: str, source: str) -> None:
        super().__init__(url, source)
        self.scheme = urlsplit(url).scheme
        self.networked = self.scheme != "memory"
        self.fs, self.root = self._open()

    def _open(self) -> tuple[Any, str]:
        import fsspec

        more = _S3 if self.scheme in ("s3", "s3a") else {}
        try:
            # A listing that is remembered would hide what a colleague has just published.
            fs, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False, skip_instance_cache=True, **more)
        except ImportError as error:
            if self.scheme not in _CLIENTS:
                raise UnsupportedError("shared.no_scheme", url=self.url, known=", ".join(sorted(_CLIENTS))) from error
            package, extra = _CLIENTS[self.scheme]
            family = t("what.source")
            raise MissingPackage(
                "core.missing_package", family=family, name=f"{self.scheme}://", package=package, extra=extra
            ) from error
        except ValueError as error:
            raise UnsupportedError("shared.no_scheme", url=self.url, known=", ".join(sorted(_CLIENTS))) from error
        if not _puts_new(fs):
            raise UnsupportedError("shared.not_conditional", place=self.url)
        return fs, root.rstrip("/")

    def _at(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def read(self, path: str) -> bytes | None:
        with told(self, path):
            try:
                return bytes(self.fs.cat_file(self._at(path)))
            except FileNotFoundError:
                return None

    def size(self, path: str) -> int | None:
        with told(self, path):
            try:
                return int(self.fs.info(self._at(path))["size"])
            except FileNotFoundError:
                return None

    def modified(self, path: str) -> float | None:
        with told(self, path):
            try:
                return float(self.fs.modified(self._at(path)).timestamp())
            except FileNotFoundError:
                return None

    def walk(self, path: str) -> dict[str, int]:
        with told(self, path):
            try:
                found = self.fs.find(self._at(path), detail=True)
            except FileNotFoundError:
                return {}
            return {name[len(self.root) + 1 :]: int(about.get("size") or 0) for name, about in found.items()}

    def sweep(self, before: float) -> tuple[int, int]:
        # Google and Azure end uploads that nobody finishes by themselves, after a week.
        if self.scheme not in ("s3", "s3a"):
            return 0, 0
        bucket, key, _ = self.fs.split_path(self._at("blobs/sha256/"))
        count, freed = 0, 0
        with told(self, key):
            try:
                uploads = list(self._listed("list_multipart_uploads", "Uploads", Bucket=bucket, Prefix=key))
            except PermissionError:
                # Not everybody who may write may list uploads; the bucket's own rules end them then.
                return 0, 0
            for upload in uploads:
                if upload["Initiated"].timestamp() < before:
                    one = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
                    freed += sum(part["Size"] for part in self._listed("list_parts", "Parts", **one))
                    self.fs.call_s3("abort_multipart_upload", **one)
                    count += 1
        return count, freed

    def _listed(self, call: str, rows: str, **asked: Any) -> Iterator[dict[str, Any]]:
        """The rows of all pages of a list that the client doesn't page through itself."""
        answer: dict[str, Any] = {"IsTruncated": True}
        while answer.get("IsTruncated"):
            answer = self.fs.call_s3(call, **asked)
            yield from answer.get(rows) or ()
            asked |= {name[4:]: value for name, value in answer.items() if name.startswith("Next") and value}

    def chunks(self, path: str, start: int) -> Iterator[bytes]:
        size = self.size(path) or 0
        while start < size:
            with told(self, path):
                part = self.fs.cat_file(self._at(path), start=start, end=min(size, start + CHUNK))
            if not part:
                return
            start += len(part)
            yield part

    def put_new(self, path: str, data: bytes) -> bool:
        with told(self, path):
            try:
                self.fs.pipe_file(self._at(path), data, mode="create")
                return True
            except FileExistsError:
                return False
            except OSError as error:
                # Some stores' refusals (412, 409) have no word of their own in the client.
                if error.errno in (errno.EINVAL, errno.EBUSY, errno.EIO) and self.size(path) is not None:
                    return False
                raise

    def put(self, path: str, data: bytes | Path, tell: Callable[[int], None] = lambda size: None) -> None:
        with told(self, path):
            if isinstance(data, bytes):
                self.fs.pipe_file(self._at(path), data)
                tell(len(data))
            else:
                parts = {"chunksize": _PART} if self.scheme in _IN_PARTS else {}
                self.fs.put_file(str(data), self._at(path), callback=_telling(tell), **parts)

    def remove(self, path: str) -> None:
        with told(self, path):
            try:
                self.fs.rm_file(self._at(path))
            except FileNotFoundError:
                return


def _telling(tell: Callable[[int], None]) -> Any:
    """What fsspec's clients call at each part that they have sent."""
    from fsspec.callbacks import Callback

    class Telling(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            super().relative_update(inc)
            tell(inc)

        def absolute_update(self, value: int) -> None:
            tell(value - self.value)
            super().absolute_update(value)

    return Telling()


def _puts_new(fs: Any) -> bool:
    """Whether the client has a conditional put of its own: fsspec's default looks first and writes then."""
    from fsspec.asyn import AsyncFileSystem
    from fsspec.spec import AbstractFileSystem

    kind = type(fs)
    if isinstance(fs, AsyncFileSystem):
        return bool(kind._pipe_file is not AsyncFileSystem._pipe_file)
    return bool(kind.pipe_file is not AbstractFileSystem.pipe_file)
