"""Finding models on GitHub and Gitee by the sites' own search, with a person's token.

A forge finds programs as well: of the first that it names those are models whose files say so. What was asked is
remembered for minutes, since a forge allows few questions a minute.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from modelnook.catalog.base import Query
from modelnook.catalog.folder import formats_of
from modelnook.catalog.hub_errors import Place, by_status
from modelnook.catalog.hub_files import needed, risks
from modelnook.catalog.papers import every, first, number
from modelnook.domain.errors import OfflineError, UnsupportedError
from modelnook.domain.model import ModelInfo
from modelnook.settings import current

__all__ = ["FORGES", "Forge", "found", "searchable"]

_ID = re.compile(r"(?!\.)[\w.-]+/(?!\.)[\w.-]+")
_LOOKED_AT, _AT_ONCE = 20, 8
_DEADLINE = 3.0
_KEPT = 300.0


@dataclass(frozen=True, slots=True)
class Forge:
    """A site's interface: its address, and its words for the orders that it has."""

    api: str
    sorts: Mapping[str, str]


FORGES = {
    "https://github.com": Forge("https://api.github.com", {"likes": "stars", "updated": "updated"}),
    "https://gitee.com": Forge("https://gitee.com/api/v5", {"likes": "stars_count", "updated": "last_push_at"}),
}
"""Site -> how it is searched. Others are read by name alone."""

# (site, words, order) -> (when it was asked, what it has).
_ANSWERS: dict[tuple[str, str, str], tuple[float, list[ModelInfo]]] = {}


def searchable(name: str, query: Query) -> bool:
    """Whether a source can be searched for this: a site that is known, a token for it, and words."""
    added = next((s for s in current().sources if s["name"] == name), {})
    site = str(added.get("url") or "").rstrip("/")
    return bool(query.text.strip()) and site in FORGES and bool(os.environ.get(str(added.get("token_env") or "")))


def found(place: Place, token: str, query: Query) -> list[ModelInfo]:
    """The models among what the site finds for the words typed, unfiltered.

    Raises:
        OfflineError: out of reach, too slow, or a limit of the site's.
        UsageError: a token that the site doesn't know.
        UnsupportedError: an answer that is no list.
    """
    forge = FORGES[place.endpoint]
    key = (place.endpoint, query.text.strip().lower(), forge.sorts.get(query.sort, ""))
    for old in [one for one, (when, _) in list(_ANSWERS.items()) if time.monotonic() - when >= _KEPT]:
        _ANSWERS.pop(old, None)
    if (known := _ANSWERS.get(key)) is not None:
        return known[1]
    asking = _Asking(place, forge, token)
    rows = asking.models(query.text.strip(), key[2])
    if time.monotonic() < asking.end:
        # Else some repositories weren't looked at: the next search may find them.
        _ANSWERS[key] = (time.monotonic(), rows)
    return rows


class _Asking:
    def __init__(self, place: Place, forge: Forge, token: str) -> None:
        self.place, self.forge, self.token = place, forge, token
        self.end = time.monotonic() + _DEADLINE

    def models(self, text: str, order: str) -> list[ModelInfo]:
        params = {"q": text, "per_page": _LOOKED_AT, **({"sort": order, "order": "desc"} if order else {})}
        said = self._asked("search/repositories", params)
        rows = said.get("items") if isinstance(said, dict) else said
        if not isinstance(rows, list):
            raise UnsupportedError("hub.odd_answer", source=self.place.source, host=self.place.host)
        repos = [row for row in rows if isinstance(row, dict) and _ID.fullmatch(str(row.get("full_name")))]
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="modelnook-forge")
        jobs = [pool.submit(self._model, row) for row in repos[:_LOOKED_AT]]
        done, _ = wait(jobs, max(0.0, self.end - time.monotonic()))
        pool.shutdown(wait=False, cancel_futures=True)
        return [info for job in jobs if job in done and (info := job.result()) is not None]

    def _model(self, row: dict[str, Any]) -> ModelInfo | None:
        """A repository as an entry; None for one without weights, or that doesn't tell its files in time."""
        id, branch = str(row["full_name"]), first(row.get("default_branch")) or "HEAD"
        try:
            said = self._asked(f"repos/{id}/git/trees/{quote(branch, safe='')}", {})
            tree = said.get("tree") if isinstance(said, dict) else None
            paths = [entry.get("path") for entry in tree or () if isinstance(entry, dict)]
            names = [path for path in paths if isinstance(path, str)]
            needed(names, id, allow_pickle=True)
        except Exception:
            # One that can't be looked at, or has no weights, is no reason to say nothing of the others.
            return None
        licence = row.get("license")
        licence = first(licence.get("spdx_id") if isinstance(licence, dict) else licence)
        return ModelInfo(
            ref=f"{self.place.source}:{id}",
            id=id,
            source=self.place.source,
            name=id.rpartition("/")[2],
            summary=first(row.get("description")) or "",
            license=licence.lower() if licence and licence != "NOASSERTION" else None,
            likes=number(row.get("stargazers_count")),
            updated=first(row.get("pushed_at")),
            tags=every(row.get("topics")),
            formats=formats_of(names),
            risks=risks(names),
            page=f"{self.place.endpoint}/{id}",
        )

    def _asked(self, path: str, params: dict[str, Any]) -> Any:
        from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

        values = {"ref": params.get("q", ""), "source": self.place.source, "host": self.place.host}
        values["login"] = self.place.login
        within = self.end - time.monotonic()
        if within <= 0:
            raise OfflineError("hub.too_slow", seconds=f"{_DEADLINE:g}", **values)
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", "User-Agent": "modelnook"}
        answer = get_session().get(f"{self.forge.api}/{path}", params=params, headers=headers, timeout=within)
        if answer.status_code != 200:
            # 403 is the sites' word for too many questions.
            status = 429 if answer.status_code == 403 else answer.status_code
            raise by_status(status, values, self.place, wait=_wait(answer.headers))
        return answer.json()


def _wait(headers: Mapping[str, str]) -> int | None:
    """Seconds until more may be asked, told as such or as a time."""
    after, reset = headers.get("Retry-After", ""), headers.get("X-RateLimit-Reset", "")
    if after.isdecimal():
        return int(after)
    return max(1, int(reset) - int(time.time())) if reset.isdecimal() else None
