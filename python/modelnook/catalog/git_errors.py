"""What a git server's refusals mean, as one sentence and the next step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from modelnook.catalog.hub_errors import Place, by_status, stumbled, translated, unreachable
from modelnook.catalog.hub_errors import told as hub_told
from modelnook.domain.errors import ModelnookError, NotFoundError

__all__ = ["Limited", "told"]

_STATUS = re.compile(r"(?:unexpected http resp|HTTP) (\d{3})\b")


class Limited(Exception):
    """A site asks for fewer questions, and says for how many ``seconds`` or nothing."""

    def __init__(self, seconds: int | None) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@contextmanager
def told(place: Place, ref: str) -> Iterator[None]:
    """Turn dulwich's errors into ours, and those of the hub's client, which brings the files of Git LFS."""
    with translated(_translate, place, ref), hub_told(place, ref):
        yield


def _translate(error: Exception, place: Place, ref: str) -> ModelnookError | None:
    from dulwich.client import HTTPUnauthorized
    from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
    from dulwich.lfs import LFSError

    said = {"ref": ref, "source": place.source, "host": place.host, "login": place.login}
    if isinstance(error, Limited):
        return by_status(429, said, place, wait=error.seconds)
    if isinstance(error, HTTPUnauthorized):
        # A server that keeps private repositories to itself asks a stranger for a login for what isn't there, too.
        return by_status(401, said, place) if place.token() else NotFoundError("hub.no_model", **said)
    if isinstance(error, NotGitRepository):
        return NotFoundError("hub.no_model", **said)
    if isinstance(error, (GitProtocolError, HangupException, LFSError)):
        status = _STATUS.search(str(error))
        if status:
            return by_status(int(status[1]), said, place)
        if "not our ref" in str(error):
            return NotFoundError("hub.no_revision", **said)
        return unreachable(place, error)
    return stumbled(place, error)
