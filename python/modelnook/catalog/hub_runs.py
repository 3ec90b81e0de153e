"""The runs that colleagues published to a hub with their models: what ``sources refresh`` lists, without the models.

Colleagues are who the token's person shares an account or an organization with; without a token nobody is asked.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from modelnook.catalog.base import RUN_FILE
from modelnook.catalog.hub_entry import LISTED, listed
from modelnook.catalog.hub_errors import told
from modelnook.domain.errors import NotFoundError, UnsupportedError
from modelnook.domain.model import ModelInfo
from modelnook.store.received import LARGEST

if TYPE_CHECKING:
    from modelnook.catalog.hub import HubSource

__all__ = ["HubRuns"]

_ASK_WITHIN = 10.0
_PAGE = 100
# Records that are read at once, the newest first; the next time goes on. Files count to no limit of a hub's lists.
_AT_ONCE = 20


class HubRuns:
    """The records at one endpoint; ``calls`` counts what was asked beside the files.

    Args:
        most: calls that may be made; an account's list is one. Who has more accounts is told of some of them.
    """

    def __init__(self, source: HubSource, most: int) -> None:
        self.source, self.most, self.calls = source, most, 0

    def files(self, known: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """``(reference, run's record)`` of the models whose run isn't known.

        Raises:
            OfflineError: out of reach, or a limit of the hub's.
            UsageError: a token that the hub doesn't know.
        """
        found = sorted(self._models(known), key=lambda info: info.updated or "", reverse=True)
        for info in found[:_AT_ONCE]:
            data = self._record(info)
            if data is not None:
                yield f"{info.ref}@{info.revision}", data

    def _models(self, known: Collection[str]) -> list[ModelInfo]:
        found = []
        for account in self._accounts():
            params = {"author": account, "filter": "modelnook", "sort": "lastModified", "limit": _PAGE}
            rows = self._asked("models", {**params, "expand": LISTED})
            for info in listed(rows, self.source.name):
                run = next((tag[4:] for tag in info.tags if tag.startswith("run:")), None)
                # An endpoint may ignore what it was asked for.
                if run and run not in known and info.revision and info.id.startswith(f"{account}/"):
                    found.append(info)
        return found

    def _accounts(self) -> list[str]:
        """The person's own and those of their organizations; where they are too many, drawn by lot each time."""
        if self.most < 2 or "authorization" not in self._headers():
            return []
        try:
            said = self._asked("whoami-v2", {})
        except (NotFoundError, UnsupportedError):
            return []  # a mirror knows nobody
        said = said if isinstance(said, dict) else {}
        orgs = said.get("orgs") if isinstance(said.get("orgs"), list) else []
        named = [said.get("name"), *(org.get("name") for org in orgs or () if isinstance(org, dict))]
        names = sorted({name for name in named if isinstance(name, str) and name})
        return random.sample(names, min(len(names), self.most - self.calls))

    def _headers(self) -> dict[str, str]:
        """With the token that the source is asked with, if there is one."""
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        return dict(build_hf_headers(token=self.source._token(), library_name="modelnook"))

    def _asked(self, path: str, params: dict[str, Any]) -> Any:
        from huggingface_hub.utils import get_session, hf_raise_for_status  # type: ignore[attr-defined]

        with told(self.source.place):
            self.calls += 1
            url = f"{self.source.endpoint}/api/{path}"
            answer = get_session().get(url, params=params, headers=self._headers(), timeout=_ASK_WITHIN)
            hf_raise_for_status(answer)
            return answer.json()

    def _record(self, info: ModelInfo) -> bytes | None:
        """The run's file; None where there is none, or one too large to be a record."""
        from huggingface_hub.utils import get_session, hf_raise_for_status  # type: ignore[attr-defined]

        headers = self._headers()
        url = f"{self.source.endpoint}/{quote(info.id)}/resolve/{info.revision}/{RUN_FILE}"
        data = bytearray()
        with (
            told(self.source.place, info.ref),
            get_session().stream("GET", url, headers=headers, timeout=_ASK_WITHIN, follow_redirects=True) as answer,
        ):
            if answer.status_code in (403, 404):
                return None
            hf_raise_for_status(answer)
            for chunk in answer.iter_bytes():
                data += chunk
                if len(data) > LARGEST:
                    return None
        return bytes(data)
