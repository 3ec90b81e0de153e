"""Verbs that share a model: publish it, say which of its versions an alias means, take a version back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelnook.domain.errors import ConflictError, UsageError
from modelnook.domain.model import ModelRef
from modelnook.domain.publication import Publication
from modelnook.domain.table import Table
from modelnook.run import Run

if TYPE_CHECKING:
    from modelnook.catalog.base import Source

__all__ = ["alias", "publish", "published", "withdraw"]


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
    background: bool = False,
) -> Publication | Run:
    """Send a model to the hub, or to a team's shared folder or bucket, with its card, its run's record and checksums.

    The upload is a process of its own, as a run with its progress: it outlives the kernel that asked, and stopped or
    killed at any moment it leaves nothing to see.

    Args:
        ref: the model.
        to: ``SOURCE`` or ``SOURCE:name``.
        license: the licence to share it under; by default its base's. ``internal`` shares nothing outside.
        data_license: the licence of the rows that it was trained on; by default what a hub says of its own data sets.
        alias: what shall mean this version from now on: ``best``, ``prod``.
        private: on a hub, for those alone who were let in.
        allow: kinds of findings that may go along: ``email``, ``phone`` …
        dry_run: show everything and send nothing.
        background: give the upload's run at once; its ``report["published"]`` is the reference when it has finished.

    Returns:
        A :class:`~modelnook.domain.publication.Publication`: ``ref``, ``files`` (``file, bytes, sha256``), ``card``,
        ``checks``, ``problems``. With ``background=True`` the Run.

    Raises:
        RefusedError: a licence forbids it, or it holds a secret, a person's data or pickled weights.
        UnsupportedError: nothing can be published there.
        UsageError: not a target, not an alias, or no such kind of finding.
        ConflictError: it was stopped.
        NotFoundError: no such model or source.
        OfflineError: the place can't be reached.

    >>> planned = mn.publish("spam", "team", license="internal", dry_run=True)
    >>> planned.sent, planned.problems, "model.safetensors" in planned.files.to_frame()["file"].tolist()
    (False, (), True)
    >>> mn.publish("spam", "team", license="internal", alias="prod").ref
    'team:spam@1'
    """
    from modelnook.catalog.search import resolve
    from modelnook.catalog.shared_layout import check_alias
    from modelnook.domain.recipe import Recipe
    from modelnook.jobs.submit import submit
    from modelnook.publish import order as orders
    from modelnook.publish.scan import KINDS
    from modelnook.store import Store

    allowed = _words(allow)
    for kind in allowed:
        if kind not in KINDS:
            raise UsageError("core.bad_value", name="allow", value=kind, allowed=", ".join(KINDS))
    for one in _words(alias):
        check_alias(one)
    found = resolve(ref)
    name = found.ref.id
    if ":" not in to:
        name = found.source.info(found.ref).name or name
    where, id = orders.target(to, name, ask=not dry_run)
    order = orders.Order(str(found.ref), f"{where.name}:{id}", license, data_license, _words(alias), private, allowed)
    if dry_run:
        return orders.packed(order, lambda event: None).publication
    if where.fleeting:
        return orders.send(order, lambda event: None)
    if found.source.here(found.ref) is not None:
        # What forbids it is told at once, before there is a run.
        problems = orders.packed(order, lambda event: None).problems
        if problems:
            raise problems[0]
    run = submit(Store(), Recipe("publish", order.ref, knobs=order.knobs(), name=order.to), note=found.note)
    return run if background else published(run.wait())


def published(run: Run) -> Publication:
    """What a publication has come to.

    Args:
        run: what ``publish(…, background=True)`` gave.

    Raises:
        ConflictError: it was stopped first.

    >>> from modelnook.api import published
    >>> run = mn.publish("spam", "team", license="internal", background=True)
    >>> published(run.wait()).ref
    'team:spam@1'
    """
    from modelnook.store.files import read_json

    said = read_json(run.folder.publication)
    if run.record.state != "finished" or not isinstance(said, dict):
        raise ConflictError("publish.stopped", ref=run.record.name)
    return Publication.from_dict(said)


def _words(said: str | list[str] | None) -> tuple[str, ...]:
    """A list, or words with commas between them."""
    words = said.split(",") if isinstance(said, str) else said or ()
    return tuple(word.strip() for word in words if word.strip())


def alias(ref: str, name: str | None = None, *, back: bool = False) -> Table:
    """Which version an alias of a published model means.

    Args:
        ref: the model, with the version that the alias shall mean.
        name: the alias; without it, all of them.
        back: let it mean again what it meant before.

    Returns:
        The alias's history, newest first.

    Raises:
        UsageError: it doesn't name a source, or not an alias.
        NotFoundError: no such model or version, or nothing to go back to.
        UnsupportedError: a source without aliases.

    >>> spam = mn.publish("spam", "team", license="internal")
    >>> said = mn.alias("team:spam@1", "prod")
    >>> mn.info("team:spam@prod").revision
    '1'
    """
    from modelnook.catalog.search import source

    parsed = ModelRef.parse(ref)
    if parsed.source is None or parsed.source == "path":
        raise UsageError("publish.alias_where", ref=ref)
    return source(parsed.source).alias(parsed, name, back=back)


def withdraw(ref: str, *, why: str = "", back: bool = False) -> Table:
    """Take back a version that was published.

    Nobody finds it any more, whoever asks for it is told why, and its number is never used again. Its files go with the
    next ``sources gc`` after a day; what colleagues have brought to their machines stays there.

    Args:
        ref: the model and its version, ``team:spam@3``.
        why: what they are told.
        back: let it be found again, within half a day.

    Returns:
        The model's versions, newest first.

    Raises:
        UsageError: it doesn't name a source and a version.
        UnsupportedError: a hub, which keeps every commit.
        NotFoundError: no such model or version.
        ConflictError: with ``back``, its files may be gone by now.

    >>> spam = mn.publish("spam", "team", license="internal")
    >>> versions = mn.withdraw(spam.ref, why="wrong labels")
    >>> [model.ref for model in mn.search("spam", source="team")]
    []
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
    from modelnook.publish.order import know
    from modelnook.store import Store

    store = Store()
    store.index.drop_model(str(ref.at(None)))
    know(where, ref)
    if CatalogIndex(store.home).has(where.name):
        refresh_sources(where.name)
