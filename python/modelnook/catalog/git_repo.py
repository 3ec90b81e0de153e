"""A git repository over HTTP through dulwich: its branches and tags, one commit without its history, Git LFS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from modelnook.catalog.git_errors import Limited
from modelnook.catalog.hub_files import RepoFile
from modelnook.catalog.transfer import Tally

__all__ = ["Checkout", "Remote"]

# Larger files don't come with the listing where the server can leave them out.
_SMALL = 1_000_000
_POINTER = 1024
_TIMEOUT = 30.0
_FILE, _EXECUTABLE = 0o100644, 0o100755
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Checkout:
    """The objects of one commit on disk, in a bare repository that is thrown away."""

    def __init__(self, path: Path) -> None:
        from dulwich.repo import Repo

        path.mkdir(parents=True, exist_ok=True)
        self.repo = Repo.init_bare(str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.repo.close()

    def files(self, commit: str) -> list[RepoFile]:
        """The commit's files; links and submodules are left out, and so is what came as a pointer but isn't one."""
        return [self._file(name, sha) for name, sha in self._entries(commit)]

    def _entries(self, commit: str) -> Iterator[tuple[str, bytes]]:
        from dulwich.object_store import iter_tree_contents

        store = self.repo.object_store
        for entry in iter_tree_contents(store, store[commit.encode()].tree):  # type: ignore[index, attr-defined]
            if entry.mode in (_FILE, _EXECUTABLE):
                yield entry.path.decode("utf-8", "replace"), entry.sha

    def _file(self, name: str, sha: bytes) -> RepoFile:
        from dulwich.lfs import LFSPointer

        store: Any = self.repo.object_store
        if sha not in store:
            return RepoFile(name, -1, sha.decode())
        data = store[sha].data
        pointer = LFSPointer.from_bytes(data) if len(data) < _POINTER else None
        if pointer is not None and pointer.is_valid_oid():
            return RepoFile(name, pointer.size, sha.decode(), pointer.oid)
        return RepoFile(name, len(data), sha.decode())

    def holds(self, id: str) -> bool:
        """Whether an object is here."""
        store: Any = self.repo.object_store
        return id.encode() in store

    def read(self, file: RepoFile) -> bytes:
        """A file's content."""
        store: Any = self.repo.object_store
        return bytes(store[file.git.encode()].data)

    def write(self, file: RepoFile, target: Path) -> int:
        """Write a file's content; gives its bytes."""
        data = self.read(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return len(data)


class Remote:
    """One repository at an address; the token goes to that address alone."""

    def __init__(self, endpoint: str, id: str, token: str | None) -> None:
        self.endpoint, self.token = endpoint, token
        self.path = f"{id}.git"

    def commit(self, revision: str | None) -> str | None:
        """The commit that a branch, a tag or nothing (the default branch) means; None for what isn't there."""
        if revision and _COMMIT.fullmatch(revision):
            return revision
        refs = self._client().get_refs(self.path, ref_prefix=[b"HEAD", b"refs/heads/", b"refs/tags/"]).refs
        wanted = [b"HEAD"]
        if revision:
            name = revision.encode()
            # What an annotated tag points to stands beside it, under the tag's name and ^{}.
            wanted = [b"refs/tags/" + name + b"^{}", b"refs/tags/" + name, b"refs/heads/" + name]
        found = next((refs[name] for name in wanted if refs.get(name)), None)
        return found.decode() if found else None

    def take(self, checkout: Checkout, commit: str) -> None:
        """Fetch a commit with its small files, if there is such a commit."""
        from dulwich.errors import HangupException

        try:
            self._fetch(checkout, [commit.encode()], filter_spec=b"blob:limit=%d" % _SMALL)
        except HangupException:
            # A server ends the talk over a commit that it hasn't; one that is gone doesn't answer this either.
            self._client().get_refs(self.path, ref_prefix=[b"HEAD"])

    def take_large(self, checkout: Checkout, commit: str, files: Sequence[RepoFile], tally: Tally) -> None:
        """Fetch large files by their ids; the whole commit where a server doesn't give objects by id."""
        from dulwich.errors import GitProtocolError, HangupException

        if not files:
            return
        try:
            self._fetch(checkout, [f.git.encode() for f in files], tally=tally)
        except (GitProtocolError, HangupException):
            self._fetch(checkout, [commit.encode()], tally=tally)

    def _fetch(
        self, checkout: Checkout, wants: list[bytes], *, filter_spec: bytes | None = None, tally: Tally | None = None
    ) -> None:
        def report(size: int, what: str) -> None:
            if tally is not None and what == "read":
                tally.count(size if tally.total is None else 0)

        self._client(report).fetch(
            self.path.encode(),
            checkout.repo,
            determine_wants=lambda refs, depth=None: wants,
            depth=1,
            ref_prefix=[b"HEAD"],
            filter_spec=filter_spec,
        )

    def lfs(self, files: Sequence[RepoFile]) -> dict[RepoFile, tuple[str, Mapping[str, str]]]:
        """Where the server says that the content of files in Git LFS is, with the headers to ask with.

        Raises:
            LFSError: it has none of them, or not one.
        """
        from dulwich.lfs import LFSError

        if not files:
            return {}
        asked = [{"oid": f.sha256, "size": f.size} for f in files]
        answer = {o.oid: o for o in self._lfs_client().batch("download", asked).objects}
        found: dict[RepoFile, tuple[str, Mapping[str, str]]] = {}
        for file in files:
            entry = answer.get(file.sha256)
            action = (entry.actions or {}).get("download") if entry else None
            if action is None:
                code = entry.error.code if entry and entry.error else 404
                raise LFSError(f"HTTP {code}: {file.name}")
            found[file] = (action.href, dict(action.header or {}))
        return found

    def lfs_head(self, file: RepoFile, size: int) -> bytes:
        """The first bytes of a file in Git LFS."""
        from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

        [(href, headers)] = self.lfs([file]).values()
        asked = {**headers, "Range": f"bytes=0-{size - 1}"}
        got = b""
        with get_session().stream("GET", href, headers=asked, timeout=_TIMEOUT) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                got += chunk
                if len(got) >= size:
                    # A server that gives no ranges would send all of it.
                    break
        return got

    def _client(self, report: Any = None) -> Any:
        from dulwich.client import HttpGitClient
        from dulwich.config import ConfigDict

        client = HttpGitClient(
            f"{self.endpoint}/",
            config=ConfigDict(),
            timeout=_TIMEOUT,
            thin_packs=False,
            quiet=True,
            report_activity=report,
            username=_USER if self.token else None,
            password=self.token,
        )
        _tells_limits(client.pool_manager)
        return client

    def _lfs_client(self) -> Any:
        from dulwich.config import ConfigDict
        from dulwich.lfs import HTTPLFSClient
        from urllib3.util import make_headers

        origin = urlsplit(self.endpoint)[:2]
        login = make_headers(basic_auth=f"{_USER}:{self.token}") if self.token else {}

        class Client(HTTPLFSClient):  # type: ignore[misc]
            def _get_pool_manager(self) -> Any:
                known = self._pool_manager is not None
                return super()._get_pool_manager() if known else _tells_limits(super()._get_pool_manager())

            def _request(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Any:
                # The client knows no login of its own; it is for this address and no other.
                extra = login if urlsplit(url)[:2] == origin else {}
                return super()._request(method, url, {**headers, **extra}, body)

        return Client(f"{self.endpoint}/{self.path}/info/lfs", ConfigDict())


def _tells_limits(pool: Any) -> Any:
    """Let a site's limit be an error: the library would wait as long as it is asked to, and say nothing."""
    from urllib3.util import Retry

    ask = pool.request

    def request(*args: Any, **kwargs: Any) -> Any:
        answer = ask(*args, **kwargs)
        if answer.status == 429:
            after = answer.headers.get("Retry-After", "")
            answer.close()
            raise Limited(int(after) if after.isdecimal() else None)
        return answer

    pool.connection_pool_kw["retries"] = Retry(3, respect_retry_after_header=False)
    pool.request = request
    return pool


_USER = "oauth2"
"""GitHub takes any name beside a token, Gitee and GitLab this one."""
