"""A model on its way to a hub: a repository that is private unless asked otherwise, one commit, a tag a version.

Versions are the tags ``v1``, ``v2`` …; an alias is a tag that moves. What a hub keeps of an alias is what it means now.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelnook.catalog.base import Parcel
from modelnook.catalog.hub_errors import patiently, told
from modelnook.catalog.shared_layout import check_alias
from modelnook.catalog.transfer import Tally
from modelnook.domain.errors import ConflictError, NotFoundError, RefusedError, UnsupportedError, UsageError
from modelnook.domain.event import Emit
from modelnook.domain.model import ModelRef
from modelnook.domain.table import Table
from modelnook.settings import current

if TYPE_CHECKING:
    from modelnook.catalog.hub import HubSource

__all__ = ["Upload", "move_alias", "owner", "tags"]

_WEIGHTS = (".safetensors", ".onnx", ".onnx.data", ".gguf", ".safetensors.index.json", ".bin", ".pt")
_VERSION = re.compile(r"v(\d+)")
_TRIES = 5
_LARGE = 5_000_000

# endpoint -> whether it takes uploads by Xet; the client would try it everywhere and fail.
_XET: dict[str, bool] = {}


class Upload:
    """One publication. Nothing can be seen of it until its commit is there, which is one step at the hub."""

    def __init__(
        self, source: HubSource, id: str, parcel: Parcel, emit: Emit, stop: Callable[[], bool] = lambda: False
    ) -> None:
        self.source, self.id, self.parcel, self.emit, self.stop = source, id, parcel, emit, stop
        self.shown = f"{source.name}:{id}"
        for name in parcel.alias:
            check_alias(name)

    def run(self) -> ModelRef:
        """Make the repository where there is none, commit, tag.

        Raises:
            UsageError: no token, or one that the hub doesn't know.
            RefusedError: the token may not write there, or the repository is public and was to be private.
            ConflictError: stopped before the commit.
            OfflineError: off or out of reach.
        """
        api = writing(self.source, self.shown)
        with self._told():
            held = self._held(api)
            if held is None:
                patiently(lambda: api.create_repo(self.id, private=self.parcel.private, exist_ok=True))
            elif bool(held.private) != self.parcel.private:
                raise RefusedError("hub.is_private" if held.private else "hub.is_public", ref=self.shown)
            with _xet_as_it_is(self.source.endpoint, self.id, api):
                commit = self._commit(api)
            version = self._tag(api, commit)
            for name in self.parcel.alias:
                _move(api, self.id, name, commit)
        return ModelRef(self.source.name, self.id, version)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with told(self.source.place, self.shown):
                yield
        except RefusedError as error:
            if error.code != "hub.forbidden":
                raise
            place = self.source.place
            raise RefusedError("hub.no_write", ref=self.shown, host=place.host, login=place.login) from error

    def _held(self, api: Any) -> Any:
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            return patiently(lambda: api.model_info(self.id))
        except RepositoryNotFoundError:
            return None

    def _commit(self, api: Any) -> str:
        """The commit that holds exactly these files; made on top of whatever a colleague committed meanwhile."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete
        from huggingface_hub.errors import HfHubHTTPError

        for left in reversed(range(_TRIES)):
            now = patiently(lambda: api.model_info(self.id))
            added = [
                CommitOperationAdd(name, str(content) if isinstance(content, Path) else content)
                for name, content in sorted(self.parcel.files.items())
            ]
            self._send(api, added)
            operations: list[Any] = [*added]
            # Weights of an earlier version would be taken for this one's.
            stale = [s.rfilename for s in now.siblings or () if s.rfilename.endswith(_WEIGHTS)]
            operations += [CommitOperationDelete(name) for name in stale if name not in self.parcel.files]
            try:
                done = api.create_commit(
                    self.id, operations, commit_message="Published by modelnook", parent_commit=now.sha
                )
                return str(done.oid)
            except HfHubHTTPError as error:
                if error.response.status_code not in (409, 412):
                    raise
                if not left:
                    raise ConflictError("hub.busy", ref=self.shown) from error
        raise AssertionError

    def _send(self, api: Any, added: list[Any]) -> None:
        """Bring the contents to the hub, where nobody sees them yet; what it has already isn't sent again.

        The client tells nothing of a file's own progress, so that large ones are told of one by one.
        """
        sizes = [(one.upload_info.size, one) for one in added]
        tally = Tally(self.shown, sum(size for size, _ in sizes), self.emit, self.stop, sending=True)
        small = [one for size, one in sizes if size < _LARGE]
        sent = 0
        for group in (small, *([one] for size, one in sizes if size >= _LARGE)):
            send = partial(api.preupload_lfs_files, self.id, group, free_memory=False)
            tally.alongside(partial(int, sent), send)
            sent += sum(one.upload_info.size for one in group)
        tally.finish()

    def _tag(self, api: Any, commit: str) -> str:
        """The version's name: the tag that the commit has, else the next one; two at once get two."""
        from huggingface_hub.errors import HfHubHTTPError

        held = {name: target for name, target in tags(api, self.id).items() if _VERSION.fullmatch(name)}
        for name, target in held.items():
            if target == commit:
                return name
        number = max((int(name[1:]) for name in held), default=0) + 1
        while True:
            try:
                api.create_tag(self.id, tag=f"v{number}", revision=commit, exist_ok=False)
                return f"v{number}"
            except HfHubHTTPError as error:
                if error.response.status_code != 409:
                    raise
                number += 1


def writing(source: HubSource, shown: str) -> Any:
    """The client for writing at an endpoint.

    Raises:
        OfflineError: modelnook is offline.
        UsageError: there is no token; nothing was asked.
    """
    from huggingface_hub import get_token

    if current().hub_offline:
        raise source._offline(shown)
    if not (source._token() or (source._token() is None and get_token())):
        raise UsageError("hub.no_token", ref=shown, host=source.place.host, login=source.place.login)
    return source._api()


def owner(source: HubSource, id: str, *, ask: bool) -> str:
    """``owner/name``: without an owner it is the person whose token it is."""
    if not re.fullmatch(r"([\w.-]+/)?[\w.-]{1,96}", id, re.ASCII) or ".." in id:
        raise UsageError("hub.bad_id", ref=id, host=source.place.host, source=source.name)
    if "/" in id or not ask:
        return id
    api = writing(source, f"{source.name}:{id}")
    with told(source.place, f"{source.name}:{id}"):
        return f"{patiently(api.whoami)['name']}/{id}"


def tags(api: Any, id: str) -> dict[str, str]:
    """Tag -> the commit that it means."""
    return {ref.name: ref.target_commit for ref in patiently(lambda: api.list_repo_refs(id)).tags}


def _move(api: Any, id: str, name: str, commit: str) -> None:
    from huggingface_hub.errors import HfHubHTTPError

    held = tags(api, id)
    if held.get(name) == commit:
        return
    if name in held:
        api.delete_tag(id, tag=name)
    try:
        api.create_tag(id, tag=name, revision=commit, exist_ok=False)
    except HfHubHTTPError as error:
        if error.response.status_code == 409:
            raise ConflictError("hub.busy", ref=id) from error
        raise


def move_alias(source: HubSource, ref: ModelRef, name: str | None, *, back: bool) -> Table:
    """See :meth:`Source.alias`; what an alias meant before isn't kept by a hub.

    Raises:
        UnsupportedError: ``back``.
    """
    shown = f"{source.name}:{ref.id}"
    if back:
        raise UnsupportedError("hub.no_history", ref=shown)
    setting = name is not None and ref.revision is not None
    api = writing(source, shown) if setting else source._api()
    with told(source.place, shown):
        held = tags(api, ref.id)
        if name is not None and ref.revision is not None:
            revision = ref.revision if not ref.revision.isdecimal() else f"v{ref.revision}"
            if revision not in held and not re.fullmatch(r"[0-9a-f]{40}", revision):
                raise NotFoundError("hub.no_revision", ref=f"{shown}@{ref.revision}")
            _move(api, ref.id, check_alias(name), held.get(revision, revision))
            held = tags(api, ref.id)
    versions = {target: tag for tag, target in held.items() if _VERSION.fullmatch(tag)}
    rows = [(tag, versions.get(target, target[:12]), "", "") for tag, target in sorted(held.items())]
    rows = [row for row in rows if not _VERSION.fullmatch(row[0]) and name in (None, row[0])]
    return Table(("alias", "version", "author", "updated"), tuple(rows))


@contextmanager
def _xet_as_it_is(endpoint: str, id: str, api: Any) -> Iterator[None]:
    """Upload without Xet where an endpoint hasn't got it; the client's switch is the process's, so it is put back."""
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers, get_session  # type: ignore[attr-defined]

    if endpoint not in _XET:
        url = f"{endpoint}/api/models/{id}/xet-write-token/main"
        status = get_session().get(url, headers=build_hf_headers(token=api.token)).status_code
        if status in (200, 404):
            _XET[endpoint] = status == 200
    before = constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_DISABLE_XET = before or not _XET.get(endpoint, False)
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = before
