"""Aliases of a hub's model: a tag that moves, and a tag beside it for each time that it did, so that it can go back.

A hub tells of a tag only its name and its commit. So what is to be known of a change stands in the name of its tag:
``Alias-prod-000003-20261126T142000Z-anna`` is the third thing that ``prod`` meant, since when, and who said so;
``…Z-of-000001-anna`` went back to the first. No alias has a capital letter, so none can be taken for such a tag.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from modelnook.catalog.hub_errors import patiently, told
from modelnook.catalog.shared_layout import check_alias
from modelnook.domain.errors import ConflictError, NotFoundError
from modelnook.domain.model import ModelRef
from modelnook.domain.table import Table
from modelnook.settings import current

if TYPE_CHECKING:
    from modelnook.catalog.hub import HubSource

__all__ = ["VERSION", "HubAliases", "alias_of", "tags"]

VERSION = re.compile(r"v(\d+)")
_CHANGE = re.compile(r"Alias-(?P<alias>[a-z][a-z0-9._-]*)-(\d{6})-(\d{8}T\d{6}Z)(?:-of-(\d{6}))?-([\w-]*)")
_WHEN = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class _Change:
    """``number`` counts an alias's changes; ``of`` is the one that it went back to."""

    number: int
    commit: str
    time: str
    author: str
    of: int | None = None


def tags(api: Any, id: str) -> dict[str, str]:
    """Tag -> the commit that it means."""
    return {ref.name: ref.target_commit for ref in patiently(lambda: api.list_repo_refs(id)).tags}


def alias_of(source: HubSource, ref: ModelRef, name: str | None, *, back: bool) -> Table:
    """See :meth:`Source.alias`.

    Raises:
        NotFoundError: no such version, or nothing to go back to.
        UsageError: no token, where something is to be changed.
        OfflineError: modelnook is offline.
    """
    from modelnook.catalog.hub_publish import write_told, writing

    shown = f"{source.name}:{ref.id}"
    if current().hub_offline:
        raise source._offline(shown)
    if name is None or not (back or ref.revision):
        with told(source.place, shown):
            return HubAliases(source._api(), ref.id, shown).table(name)
    with write_told(source, shown):
        aliases = HubAliases(writing(source, shown), ref.id, shown)
        if back:
            aliases.undo(check_alias(name))
        else:
            aliases.set(check_alias(name), aliases.commit_of(ref.revision or ""))
        return aliases.table(name)


class HubAliases:
    """The aliases of one model.

    Args:
        api: the client, one that may write where something is to be changed.
    """

    def __init__(self, api: Any, id: str, shown: str) -> None:
        self.api, self.id, self.shown = api, id, shown
        self._tags = tags(api, id)

    def commit_of(self, revision: str) -> str:
        """The commit of a version (``1`` is ``v1``), an alias or a commit's own id.

        Raises:
            NotFoundError: no such revision.
        """
        name = f"v{revision}" if revision.isdecimal() and len(revision) < 7 else revision
        if name not in self._tags and not re.fullmatch(r"[0-9a-f]{40}", name):
            raise NotFoundError("hub.no_revision", ref=f"{self.shown}@{revision}")
        return self._tags.get(name, name)

    def set(self, name: str, commit: str, of: int | None = None) -> None:
        """Let an alias mean a commit.

        Raises:
            ConflictError: somebody else moves it at the same time.
        """
        now = self._tags.get(name)
        if now == commit:
            return
        changes = self._changes(name)
        number = changes[0].number + 1 if changes else 1
        if now and (not changes or changes[0].commit != now):
            # It was moved where no history is kept: what it meant is noted before it is lost.
            self._note(name, number, now)
            number += 1
        self._note(name, number, commit, of)
        self._move(name, commit)
        self._tags = tags(self.api, self.id)

    def undo(self, name: str) -> None:
        """Let an alias mean what it meant before; done again, what it meant before that.

        Raises:
            NotFoundError: it meant nothing before.
        """
        now, changes = self._tags.get(name), self._changes(name)
        newest = changes[0] if changes and changes[0].commit == now else None
        # A change that was made by going back stands where the one stood that it went back to.
        base = (newest.of or newest.number) if newest else float("inf")
        older = [change for change in changes if change.number < base and change.commit != now]
        if now is None or not older:
            raise NotFoundError("shared.nothing_before", alias=name, ref=self.shown)
        self.set(name, older[0].commit, older[0].of or older[0].number)

    def _changes(self, name: str) -> list[_Change]:
        """What an alias has meant, newest first."""
        found = []
        for tag, commit in self._tags.items():
            match = _CHANGE.fullmatch(tag)
            if match and match["alias"] == name:
                _, number, time, of, author = match.groups()
                found.append(_Change(int(number), commit, _iso(time), author, int(of) if of else None))
        # Two people at once may have taken the same number.
        return sorted(found, key=lambda change: (change.number, change.time), reverse=True)

    def _note(self, name: str, number: int, commit: str, of: int | None = None) -> None:
        author = re.sub(r"[^\w-]+", "-", str(patiently(lambda: self.api.whoami(cache=True))["name"]), flags=re.ASCII)
        back = f"-of-{of:06}" if of else ""
        tag = f"Alias-{name}-{number:06}-{datetime.now(UTC):{_WHEN}}{back}-{author}"
        patiently(lambda: self.api.create_tag(self.id, tag=tag, revision=commit, exist_ok=True))

    def _move(self, name: str, commit: str) -> None:
        from huggingface_hub.errors import HfHubHTTPError

        if name in self._tags:
            self.api.delete_tag(self.id, tag=name)
        try:
            self.api.create_tag(self.id, tag=name, revision=commit, exist_ok=False)
        except HfHubHTTPError as error:
            if error.response.status_code == 409:
                raise ConflictError("hub.busy", ref=self.id) from error
            raise

    def table(self, name: str | None) -> Table:
        """An alias's history, newest first; of all aliases, what they mean now."""
        versions = {commit: tag for tag, commit in self._tags.items() if VERSION.fullmatch(tag)}
        rows = []
        for tag, now in sorted(self._tags.items()):
            if name not in (None, tag) or VERSION.fullmatch(tag) or _CHANGE.fullmatch(tag):
                continue
            changes = self._changes(tag)
            if not changes or changes[0].commit != now:
                changes.insert(0, _Change(0, now, "", ""))
            rows += [
                (tag, versions.get(one.commit, one.commit[:12]), one.author, one.time)
                for one in (changes if name else changes[:1])
            ]
        return Table(("alias", "version", "author", "updated"), tuple(rows))


def _iso(time: str) -> str:
    """A tag's time as others are written; empty for one that is none."""
    try:
        return datetime.strptime(time, _WHEN).replace(tzinfo=UTC).isoformat(timespec="seconds")
    except ValueError:
        return ""
