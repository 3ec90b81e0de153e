"""A model on its way to a hub: a repository that is private unless asked otherwise, one commit, a tag a version.

Versions are the tags ``v1``, ``v2`` …; an alias is a tag that moves, see :mod:`modelnook.catalog.hub_aliases`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelnook.catalog.base import Parcel
from modelnook.catalog.hub_aliases import VERSION, HubAliases, tags
from modelnook.catalog.hub_errors import patiently, told
from modelnook.catalog.shared_layout import check_alias
from modelnook.catalog.transfer import Tally
from modelnook.domain.errors import ConflictError, RefusedError, UsageError
from modelnook.domain.event import Emit
from modelnook.domain.model import ModelRef
from modelnook.settings import current

if TYPE_CHECKING:
    from modelnook.catalog.hub import HubSource

__all__ = ["Upload", "owner", "write_told", "writing"]

_WEIGHTS = (".safetensors", ".onnx", ".onnx.data", ".gguf", ".safetensors.index.json", ".bin", ".pt")
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
        with write_told(self.source, self.shown):
            held = self._held(api)
            if held is None:
                patiently(lambda: api.create_repo(self.id, private=self.parcel.private, exist_ok=True))
            elif bool(held.private) != self.parcel.private:
                raise RefusedError("hub.is_private" if held.private else "hub.is_public", ref=self.shown)
            with _xet_as_it_is(self.source.endpoint, self.id, api):
                commit = self._commit(api)
            version = self._tag(api, commit)
            if self.parcel.alias:
                aliases = HubAliases(api, self.id, self.shown)
                for name in self.parcel.alias:
                    aliases.set(name, commit)
        return ModelRef(self.source.name, self.id, version)

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

        held = {name: target for name, target in tags(api, self.id).items() if VERSION.fullmatch(name)}
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


@contextmanager
def write_told(source: HubSource, shown: str) -> Iterator[None]:
    """Turn the client's errors into ours, where what is forbidden is to write."""
    try:
        with told(source.place, shown):
            yield
    except RefusedError as error:
        if error.code != "hub.forbidden":
            raise
        raise RefusedError("hub.no_write", ref=shown, host=source.place.host, login=source.place.login) from error


def owner(source: HubSource, id: str, *, ask: bool) -> str:
    """``owner/name``: without an owner it is the person whose token it is."""
    if not re.fullmatch(r"([\w.-]+/)?[\w.-]{1,96}", id, re.ASCII) or ".." in id:
        raise UsageError("hub.bad_id", ref=id, host=source.place.host, source=source.name)
    if "/" in id or not ask:
        return id
    api = writing(source, f"{source.name}:{id}")
    with told(source.place, f"{source.name}:{id}"):
        return f"{patiently(api.whoami)['name']}/{id}"


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
