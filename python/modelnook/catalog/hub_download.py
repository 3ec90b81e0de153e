"""Bringing a commit's files into a hub cache: large ones go on where they were cut, each is checked, progress is told.

The client's own download starts a file anew when its process was killed; here a part lies in the cache under the
file's checksum, and the finished blob is what the client then finds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from modelnook.catalog.hub_files import RepoFile
from modelnook.catalog.transfer import Tally, alone, need_room, part_into_place, stream
from modelnook.domain.errors import StoreError
from modelnook.domain.event import Emit
from modelnook.store.files import disk_errors

__all__ = ["Download", "Repo"]

_LARGE = 5_000_000
_WORKERS = 4


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository's commit at an endpoint, and the cache that it goes to."""

    id: str
    sha: str
    endpoint: str
    cache: Path
    token: str | bool | None

    @property
    def storage(self) -> Path:
        """Its folder in the cache."""
        return self.cache / f"models--{self.id.replace('/', '--')}"

    @property
    def snapshot(self) -> Path:
        """The commit's folder."""
        return self.storage / "snapshots" / self.sha


class Download:
    """The files of one commit on their way. Ended by ``stop`` it leaves its parts for the next time."""

    def __init__(self, repo: Repo, ref: str, files: Sequence[RepoFile], emit: Emit, stop: Callable[[], bool]) -> None:
        self.repo, self.ref = repo, ref
        self.files = [f for f in files if not self._is_here(f)]
        self.tally = Tally(ref, sum(f.size for f in self.files), emit, stop)

    def run(self) -> Path:
        """Bring them; gives the commit's folder.

        Raises:
            ConflictError: stopped.
            StoreError: no room, or a file that isn't what the hub says it is.
        """
        large = [f for f in self.files if f.sha256 and f.size >= _LARGE and not self._blob(f).exists()]
        with disk_errors(self.repo.cache):
            self._need_room()
            with ThreadPoolExecutor(_WORKERS, thread_name_prefix="modelnook-download") as pool:
                for done in [pool.submit(self._bring, file) for file in large]:
                    done.result()
            folder = self._link({f.name for f in large})
        for file in self.files:
            if file not in large:
                self._check(folder / file.name, file)
        if self.files:
            self.tally.finish()
        return folder

    def _need_room(self) -> None:
        self.repo.storage.mkdir(parents=True, exist_ok=True)
        parts = sum(p.stat().st_size for f in self.files if (p := self._part(f)).exists())
        need_room(self.repo.storage, (self.tally.total or 0) - parts)

    def _blob(self, file: RepoFile) -> Path:
        return self.repo.storage / "blobs" / (file.sha256 or file.git)

    def _part(self, file: RepoFile) -> Path:
        blob = self._blob(file)
        # `hf cache prune` takes what ends so for the client's own leavings.
        return blob.with_name(f"{blob.name}.modelnook.incomplete")

    def _bring(self, file: RepoFile) -> None:
        blob, part = self._blob(file), self._part(file)
        part.parent.mkdir(parents=True, exist_ok=True)
        with alone(self._lock(file), self.tally.check):
            if blob.exists():
                self.tally.count(file.size)
                return
            self._get(file, part)
            part_into_place(part, blob, file.sha256, self.ref, file.name)

    def _get(self, file: RepoFile, part: Path) -> None:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        repo = self.repo
        url = hf_hub_url(repo.id, file.name, revision=repo.sha, endpoint=repo.endpoint)
        where = get_hf_file_metadata(url, token=repo.token).location
        headers = build_hf_headers(token=repo.token)
        if urlsplit(where).netloc != urlsplit(url).netloc:
            headers.pop("authorization", None)
        stream(where, part, file.size, file.name, self.tally, headers)

    def _lock(self, file: RepoFile) -> Path:
        """The file of the lock that the client takes for this blob."""
        path = self.repo.cache / ".locks" / self.repo.storage.name / f"{file.sha256}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _link(self, brought: set[str]) -> Path:
        """Let the client lay out the commit's folder: blobs that are here become links, small files are fetched."""
        from glob import escape

        from huggingface_hub import snapshot_download

        repo = self.repo
        snapshot_download(
            repo.id,
            revision=repo.sha,
            endpoint=repo.endpoint,
            cache_dir=repo.cache,
            token=repo.token,
            allow_patterns=[escape(f.name) for f in self.files],
            max_workers=_WORKERS,
            tqdm_class=self.tally.bar(),
        )
        return repo.snapshot

    def _is_here(self, file: RepoFile) -> bool:
        """Whether a file needs no bringing: small ones may be here unchecked, since the client itself brought them."""
        path = self.repo.snapshot / file.name
        if path.exists() and not _is_whole(path, file):
            _drop(path)
        return path.exists()

    def _check(self, path: Path, file: RepoFile) -> None:
        """A small file against its checksum, which the client doesn't compare."""
        if not _is_whole(path, file):
            _drop(path)
            raise StoreError("hub.damaged", ref=self.ref, file=file.name)


def _is_whole(path: Path, file: RepoFile) -> bool:
    """Whether a file is what the hub says; a large one was compared as it came."""
    if file.sha256:
        return file.size >= _LARGE or hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    if not file.git:
        return True
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == file.git


def _drop(path: Path) -> None:
    """Remove a file of a commit with what it links to."""
    path.resolve().unlink()
    path.unlink(missing_ok=True)
