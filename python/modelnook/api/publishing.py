"""Verbs that share a model: publish it, say which of its versions an alias means, take a version back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelnook.domain.errors import ModelnookError, UnsupportedError, UsageError
from modelnook.domain.model import ModelRef
from modelnook.domain.publication import Publication
from modelnook.domain.table import Table

if TYPE_CHECKING:
    from modelnook.catalog.base import Source

__all__ = ["alias", "publish", "withdraw"]


def publish(
    ref: str,
    to: str,
    *,
    license: str | None = None,
    data_license: str | None = None,
    alias: str | list[str] | None = None,
    private: bool = True,
    allow: str | list[str] | None = None,
    dry_run: bool = False,
) -> Publication:
    """Send a model to the hub, or to a team's shared folder or bucket, with its card, its run's record and checksums.

    Args:
        to: ``SOURCE`` or ``SOURCE:name``.
        license: the licence to share it under; by default its base's. ``internal`` shares nothing outside.
        data_license: the licence of the rows that it was trained on.
        alias: what shall mean this version from now on: ``best``, ``prod``.
        private: on a hub, for those alone who were let in.
        allow: kinds of findings that may go along: ``email``, ``phone`` …
        dry_run: show everything and send nothing.

    Raises:
        RefusedError: a licence forbids it, or it holds a secret, a person's data or pickled weights.
        UnsupportedError: nothing can be published there.
    """
    from modelnook.catalog.search import resolve
    from modelnook.publish.package import Asked, pack
    from modelnook.publish.scan import KINDS
    from modelnook.settings import user

    allowed = _words(allow)
    for kind in allowed:
        if kind not in KINDS:
            raise UsageError("core.bad_value", name="allow", value=kind, allowed=", ".join(KINDS))
    found = resolve(ref)
    folder = found.source.fetch(found.ref, lambda event: None)
    info = found.source.info(found.ref)
    where, id = _target(to, info.name or info.id, dry_run)
    public = where.kind == "hub" and not private
    asked = Asked(
        str(found.ref),
        f"{where.name}:{id}",
        license=license,
        data_license=data_license,
        alias=_words(alias),
        private=private,
        public=public,
        # A hub knows who one is by the token.
        author=user() if where.kind == "folder" else "",
        allow=allowed,
    )
    package = pack(info, folder, asked)
    if dry_run:
        return package.publication
    if package.problems:
        raise package.problems[0]
    made = where.publish(id, package.parcel, lambda event: None)
    _know(where, made)
    return replace(package.publication, ref=str(made), sent=True)


def _words(said: str | list[str] | None) -> tuple[str, ...]:
    """A list, or words with commas between them."""
    words = said.split(",") if isinstance(said, str) else said or ()
    return tuple(word.strip() for word in words if word.strip())


def _target(to: str, name: str, dry_run: bool) -> tuple[Source, str]:
    """``(source, id)`` of ``SOURCE`` or ``SOURCE:name``."""
    from modelnook.catalog.base import Source
    from modelnook.catalog.search import source

    head, _, id = to.strip().partition(":")
    if not head or "@" in id:
        raise UsageError("publish.bad_target", to=to)
    where = source(head)
    if type(where).publish is Source.publish:
        raise UnsupportedError("catalog.only_read", source=head)
    # Who one is at a hub is asked of it; a dry run asks nobody.
    return where, where.destination(id or name, ask=not dry_run)


def _know(where: Source, made: ModelRef) -> None:
    """Let the index find it at once."""
    from modelnook.store import Store

    try:
        Store().index.put_models(where.name, [replace(where.info(made.at(None)), ref=str(made.at(None)))])
    except ModelnookError:
        return


def alias(ref: str, name: str | None = None, *, back: bool = False) -> Table:
    """Which version an alias of a published model means: ``alias("team:spam@3", "prod")`` sets it.

    Args:
        name: the alias; without it, all of them.
        back: let it mean again what it meant before.

    Returns:
        The alias's history, newest first.
    """
    from modelnook.catalog.search import source

    parsed = ModelRef.parse(ref)
    if parsed.source is None or parsed.source == "path":
        raise UsageError("publish.alias_where", ref=ref)
    return source(parsed.source).alias(parsed, name, back=back)


def withdraw(ref: str, *, why: str = "", back: bool = False) -> Table:
    """Take back a version that was published: ``withdraw("team:spam@3", why="wrong labels")``.

    Nobody finds it any more, whoever asks for it is told why, and its number is never used again. Its files go with the
    next ``sources gc`` after a day; what colleagues have brought to their machines stays there.

    Args:
        why: what they are told.
        back: let it be found again, within half a day.

    Returns:
        The model's versions, newest first.

    Raises:
        UsageError: it doesn't name a source and a version.
        UnsupportedError: a hub, which keeps every commit.
    """
    from modelnook.catalog.search import source

    parsed = ModelRef.parse(ref)
    if parsed.source in (None, "path", "local", "pip") or not parsed.revision:
        raise UsageError("publish.withdraw_what", ref=ref)
    where = source(parsed.source or "")
    versions = where.withdraw(parsed, why, back=back)
    _forget(where, parsed)
    return versions


def _forget(where: Source, ref: ModelRef) -> None:
    """Let the index know only what can still be had."""
    from modelnook.api.upkeep import refresh_sources
    from modelnook.catalog.index import CatalogIndex
    from modelnook.store import Store

    store = Store()
    store.index.drop_model(str(ref.at(None)))
    _know(where, ref)
    if CatalogIndex(store.home).has(where.name):
        refresh_sources(where.name)
