"""Models in git repositories, such as those of GitHub, Gitee and GitLab: read only, Git LFS included.

A model is named ``SOURCE:owner/name[@branch, tag or commit]``. It is found once it was pulled, and on GitHub and Gitee
by the site's own search, with a token.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from modelnook.catalog.base import Query
from modelnook.catalog.git_errors import told
from modelnook.catalog.git_repo import Checkout, Remote
from modelnook.catalog.git_search import found, searchable
from modelnook.catalog.hub_files import RepoFile
from modelnook.catalog.remote import HEAD, Listing, RemoteSource
from modelnook.catalog.transfer import Tally, part_into_place, stream
from modelnook.domain.errors import NotFoundError, UnsupportedError, UsageError
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.settings import current

__all__ = ["GitSource"]

_ID = re.compile(r"(?!\.)[\w.-]+(/(?!\.)[\w.-]+)+")
_OBJECTS = ".git"


class GitSource(RemoteSource):
    """Repositories below one address: ``sources add github https://github.com --kind git``."""

    kind = "git"

    def search(self, query: Query) -> list[ModelInfo]:
        """What was brought here, and what a site that can be searched finds for the words typed.

        Raises:
            OfflineError: the site is out of reach, or its limit is reached.
            UsageError: it doesn't know the token.
        """
        rows = {info.id: info for info in self.cache.entries(self.name)}
        if self.token and searchable(self.name, query) and not current().offline:
            with self.told(query.text):
                rows = {info.id: info for info in found(self.place, self.token, query)} | rows
        return [info for info in rows.values() if query.matches(info)][: query.limit]

    def listing(self, limit: int) -> list[ModelInfo]:
        """There is none: a site tells only of what it is asked for.

        Raises:
            UnsupportedError: always, with what to do instead.
        """
        raise UnsupportedError("hub.no_search", source=self.name, host=self.place.host)

    def told(self, shown: str) -> AbstractContextManager[None]:
        """See :mod:`modelnook.catalog.git_errors`."""
        return told(self.place, shown)

    def ask(self, ref: ModelRef) -> Listing:
        """The files of a commit, without the large ones: pointers of Git LFS tell those that are kept there."""
        remote = self._remote(ref)
        commit = remote.commit(ref.revision)
        missing = NotFoundError("hub.no_revision", ref=self.shown(ref))
        if commit is None:
            raise missing
        with tempfile.TemporaryDirectory(prefix="modelnook-git-") as folder, Checkout(Path(folder)) as checkout:
            remote.take(checkout, commit)
            if not checkout.holds(commit):
                raise missing
            files = checkout.files(commit)
            texts = {f.name: checkout.read(f) for f in files if f.name in ("README.md", "config.json") and f.size >= 0}
            return Listing(commit, tuple(files), texts=texts)

    def text(self, ref: ModelRef, listing: Listing, file: RepoFile) -> bytes:
        """What came with the listing; else it is too large to be looked at."""
        return listing.texts.get(file.name, b"")

    def head(self, ref: ModelRef, listing: Listing, file: RepoFile, size: int = HEAD) -> bytes:
        """The beginning of a file in Git LFS; git itself gives whole files only."""
        return self._remote(ref).lfs_head(file, size) if file.sha256 else b""

    def bring(self, ref: ModelRef, listing: Listing, files: Sequence[RepoFile], folder: Path, tally: Tally) -> None:
        """Small files with one fetch, large ones of git with another, those of Git LFS each by itself."""
        remote, objects = self._remote(ref), folder / _OBJECTS
        shutil.rmtree(objects, ignore_errors=True)
        with Checkout(objects) as checkout:
            remote.take(checkout, listing.revision)
            inside = [f for f in files if not f.sha256]
            # A transfer of git can't be continued, so what it brings is written before anything else is asked for.
            remote.take_large(checkout, listing.revision, [f for f in inside if not checkout.holds(f.git)], tally)
            for file in inside:
                size = checkout.write(file, folder / file.name)
                if tally.total is not None:
                    tally.count(size)
        shutil.rmtree(objects)
        stored = [f for f in files if f.sha256 and not (folder / f.name).exists()]
        for file, (href, headers) in remote.lfs(stored).items():
            part = folder / f"{file.name}.incomplete"
            part.parent.mkdir(parents=True, exist_ok=True)
            stream(href, part, file.size, file.name, tally, headers)
            part_into_place(part, folder / file.name, file.sha256, tally.ref, file.name)

    def _remote(self, ref: ModelRef) -> Remote:
        if not _ID.fullmatch(ref.id):
            raise UsageError("hub.bad_id", ref=self.shown(ref), host=self.place.host, source=self.name)
        return Remote(self.endpoint, ref.id, self.token)
