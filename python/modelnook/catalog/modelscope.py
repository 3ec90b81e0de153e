"""Models of ModelScope, through its own client (``modelscope-hub``)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import Any

from modelnook.catalog.base import Query
from modelnook.catalog.hub_errors import Place, by_status, stumbled, translated, unreachable
from modelnook.catalog.hub_files import RepoFile
from modelnook.catalog.papers import every, first, number
from modelnook.catalog.remote import HEAD, Listing, RemoteSource, licence_id
from modelnook.catalog.transfer import Tally
from modelnook.catalog.words import languages_named
from modelnook.domain.errors import ModelnookError, NotFoundError, OfflineError, StoreError, UsageError
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.store.files import folder_bytes

__all__ = ["ModelScopeSource"]

_ID = re.compile(r"(?!\.)[\w.-]+/(?!\.)[\w.-]+")
_BRANCH = "master"
# The site names no commit; what the branch held is known by the checksums of its files, and named so.
_CONTENT = "sha256-"
_PAGE = 100
_MOST = 3000
_MOST_USED = "downloads"
# What isn't here is sorted by us, among the most used.
_SORTS = {"likes": "likes", "updated": "last_modified"}


class ModelScopeSource(RemoteSource):
    """``sources add modelscope https://modelscope.cn --kind modelscope``."""

    kind = "modelscope"

    def page(self, id: str) -> str:
        """Where one asks for access."""
        return f"{self.endpoint}/models/{id}"

    def search(self, query: Query) -> list[ModelInfo]:
        """What the site finds for the words typed; filters are applied here once more.

        Raises:
            OfflineError: off or out of reach.
        """
        found = self._entries(self._page(query.text, 1, _PAGE, _SORTS.get(query.sort, _MOST_USED)))
        return [info for info in found if query.matches(info)][: query.limit]

    def listing(self, limit: int) -> list[ModelInfo]:
        """The most downloaded models, page by page; the site tells of 3,000 at most."""
        rows: list[Any] = []
        while len(rows) < min(limit, _MOST):
            page = self._page("", len(rows) // _PAGE + 1, _PAGE, _MOST_USED)
            rows += page
            if len(page) < _PAGE:
                break
        return self._entries(rows[:limit])

    def _page(self, text: str, number: int, size: int, sort: str) -> list[Any]:
        self._online(text)
        with self.told(text):
            asked: dict[str, Any] = {"search": text or None, "sort": sort, "page_number": number}
            return list(self._api().list_repos("model", page_size=size, **asked).items)

    def _entries(self, rows: list[Any]) -> list[ModelInfo]:
        ids = ((f"{row.owner}/{row.name}", row) for row in rows)
        return [self._row(id, row) for id, row in ids if _ID.fullmatch(id)]

    def _row(self, id: str, row: Any) -> ModelInfo:
        tags = every(row.tags)
        said = {"name": row.name, "tags": tags, "language": languages_named(tags), **_facts(row)}
        return ModelInfo(ref=f"{self.name}:{id}", id=id, source=self.name, **said)

    def told(self, shown: str) -> AbstractContextManager[None]:
        """Turns the client's errors into ours."""
        return translated(_translate, self.place, shown)

    def ask(self, ref: ModelRef) -> Listing:
        """The files of a branch or tag; of ``master`` where none is named, under the name of what it holds."""
        if not _ID.fullmatch(ref.id):
            raise UsageError("hub.bad_id", ref=self.shown(ref), host=self.place.host, source=self.name)
        api = self._api()
        listed = [f for f in api.list_repo_files(ref.id, "model", revision=_asked(ref.revision)) if not f.is_dir]
        files = tuple(sorted((RepoFile(f.path, f.size, "", f.sha256 or "") for f in listed), key=lambda f: f.name))
        revision = ref.revision or _content(files)
        if revision.startswith(_CONTENT) and revision != _content(files):
            raise NotFoundError("hub.no_revision", ref=self.shown(ref))
        return Listing(revision, files, _facts(api.get_repo(ref.id, "model")))

    def text(self, ref: ModelRef, listing: Listing, file: RepoFile) -> bytes:
        """A small file's content."""
        with self._open(ref, listing, file) as answer:
            return bytes(answer.content)

    def head(self, ref: ModelRef, listing: Listing, file: RepoFile, size: int = HEAD) -> bytes:
        """The first bytes of a weight file."""
        with self._open(ref, listing, file, {"Range": f"bytes=0-{size - 1}"}) as answer:
            return next(answer.iter_content(size), b"")

    def _open(self, ref: ModelRef, listing: Listing, file: RepoFile, headers: dict[str, str] | None = None) -> Any:
        # The client's own way to a single file draws a progress bar.
        revision = _asked(listing.revision)
        return self._api().legacy.download_stream(ref.id, "model", file.name, revision, headers=headers)

    def bring(self, ref: ModelRef, listing: Listing, files: Sequence[RepoFile], folder: Path, tally: Tally) -> None:
        """Through the client, which goes on with parts and compares checksums."""
        api = self._api()
        wanted = [{"Path": f.name, "Size": f.size, "Sha256": f.sha256, "Type": "blob"} for f in files]
        asked = {"revision": _asked(listing.revision), "local_dir": folder, "file_list": wanted}
        tally.alongside(lambda: folder_bytes(folder), lambda: api.download_repo(ref.id, "model", **asked))

    def _online(self, text: str) -> None:
        from modelnook.settings import current

        if current().offline:
            raise OfflineError("catalog.offline_ref", ref=text, source=self.name)

    def _api(self) -> Any:
        # Which of the provider's data centres this machine may stand in is nobody's business.
        os.environ.setdefault("MODELSCOPE_DOWNLOAD_INTRA_CLOUD", "false")
        from modelscope_hub import HubApi
        from modelscope_hub.config import HubConfig

        class Config(HubConfig):  # type: ignore[misc]
            def get_session_id(self) -> str:
                # The client would make an id of this installation and send it along.
                return "0" * 32

        folder = self.cache.path
        # An empty token is none; without one the client would look for a login of its own, which is a pickle.
        config = Config(endpoint=self.endpoint, token=self.token or "", cache_dir=folder, config_dir=folder / ".client")
        return HubApi(config, user_agent="modelnook")


def _asked(revision: str | None) -> str:
    """What the site is asked for."""
    return _BRANCH if revision is None or revision.startswith(_CONTENT) else revision


def _content(files: Sequence[RepoFile]) -> str:
    """A name for what a branch holds: the same files have the same one.

    >>> _content([RepoFile("a", 1, "", "00")]) == _content([RepoFile("a", 1, "", "00")])
    True
    """
    said = "\n".join(f"{f.sha256} {f.size} {f.name}" for f in files)
    return _CONTENT + sha256(said.encode()).hexdigest()[:16]


def _facts(row: Any) -> dict[str, Any]:
    """What the site says of a model besides its files."""
    updated = row.last_modified
    return {
        "task": first(row.tasks),
        "license": licence_id(first(row.license)),
        "downloads": number(row.downloads),
        "likes": number(row.likes),
        "updated": updated.isoformat() if hasattr(updated, "isoformat") else None,
        "gated": bool(row.gated),
    }


def _translate(error: BaseException, place: Place, ref: str) -> ModelnookError | OSError | None:
    from modelscope_hub import errors

    said: dict[str, Any] = {"ref": ref, "source": place.source, "host": place.host, "login": place.login}
    if isinstance(error, errors.FileDownloadError):
        # Of several files that failed the first says why.
        causes = list((getattr(error, "failed_files", None) or {}).values())
        return _translate(causes[0], place, ref) if causes else unreachable(place, error)
    if isinstance(error, errors.FileIntegrityError):
        return StoreError("hub.damaged_again", **said)
    if isinstance(error, errors.NetworkError):
        return unreachable(place, error)
    if isinstance(error, errors.APIError):
        wait = getattr(error, "retry_after", None)
        return by_status(error.status_code or 500, said, place, wait=int(wait) if wait else None)
    return stumbled(place, error) or (error if isinstance(error, OSError) else None)
