"""The hub's list of models, page by page, as an index wants it: a thousand a call, waiting where it asks to wait."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from modelnook.catalog.hub_entry import LISTED, listed
from modelnook.catalog.hub_errors import Place, seconds_to_wait, told, unreachable
from modelnook.domain.errors import UnsupportedError
from modelnook.domain.model import ModelInfo
from modelnook.messages import t

__all__ = ["HubList", "Listed"]

PAGE = 1000
_ASK_WITHIN = 60.0
# A limit's window is five minutes; one that asks for more is told and not waited for.
_PATIENCE = 330
_TRIES = 5
_BACKOFF = 1.0


@dataclass(frozen=True, slots=True)
class Listed:
    """One page: its entries, and the address of the next; empty on the last one."""

    items: tuple[ModelInfo, ...]
    next: str = ""


@dataclass
class HubList:
    """An endpoint's list. ``calls`` and ``waited`` (seconds) are counted as it goes.

    Args:
        place: the endpoint, as errors name it.
        token: what the client takes as a token: one, None for the person's own, False for none.
    """

    place: Place
    token: str | bool | None
    calls: int = 0
    waited: int = 0
    _sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def pages(self, sort: str, start: str = "", most: int = 0) -> Iterator[Listed]:
        """Pages in the order of ``downloads`` or ``lastModified``, from an address that an earlier page named.

        Args:
            most: entries at most; 0 for all that there are.

        Raises:
            OfflineError: out of reach, or a limit that asks for a longer wait than minutes.
            UnsupportedError: the endpoint has no list of models.
        """
        params: dict[str, Any] = {"sort": sort, "limit": min(PAGE, most or PAGE), "expand": LISTED}
        address = start or f"{self.place.endpoint}/api/models"
        got = 0
        while address:
            answer = self._asked(address, None if start or got else params)
            with told(self.place):
                items = listed(answer.json(), self.place.source)
            got += len(items)
            address = self._next(answer) if items and (not most or got < most) else ""
            yield Listed(tuple(items), address)

    def _next(self, answer: Any) -> str:
        """The address that the answer names; another host's would be handed the token."""
        named = urljoin(f"{self.place.endpoint}/", (answer.links.get("next") or {}).get("url") or "")
        same = urlsplit(named)[:2] == urlsplit(self.place.endpoint)[:2]
        return named if same and named != f"{self.place.endpoint}/" else ""

    def _asked(self, address: str, params: dict[str, Any] | None) -> Any:
        from huggingface_hub.errors import HfHubHTTPError
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # type: ignore[attr-defined]

        headers = build_hf_headers(token=self.token, library_name="modelnook")
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            with told(self.place):
                try:
                    self.calls += 1
                    answer = get_session().get(address, params=params, headers=headers, timeout=_ASK_WITHIN)
                    hf_raise_for_status(answer)
                    return answer
                except HfHubHTTPError as error:
                    status = error.response.status_code
                    if status in (404, 405):
                        values = {"source": self.place.source, "host": self.place.host}
                        raise UnsupportedError("hub.no_search", **values) from error
                    if last or not self._rests(status, seconds_to_wait(error), attempt):
                        raise
        raise unreachable(self.place)

    def _rests(self, status: int, seconds: int | None, attempt: int) -> bool:
        """Wait where another try may help, and say so; whether it may."""
        if status == 429:
            wait = (60 if seconds is None else seconds) + 1
            if wait > _PATIENCE:
                return False
            logging.getLogger("modelnook").warning(t("hub.waiting", host=self.place.host, seconds=wait))
        elif status >= 500:
            wait = int(_BACKOFF * 2**attempt)
        else:
            return False
        self._sleep(wait)
        self.waited += wait
        return True
