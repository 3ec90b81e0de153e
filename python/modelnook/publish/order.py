"""What a person wants published, and its way from the words of a verb to a package that may be sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from modelnook.catalog.base import Source
from modelnook.catalog.search import resolve, source
from modelnook.catalog.variants import digest_of
from modelnook.domain.errors import ModelnookError, UnsupportedError, UsageError
from modelnook.domain.event import Emit
from modelnook.domain.model import ModelRef
from modelnook.domain.publication import Publication
from modelnook.publish.package import Asked, Package, pack
from modelnook.settings import user
from modelnook.store import Store

__all__ = ["Order", "know", "packed", "send", "target"]


@dataclass(frozen=True, slots=True)
class Order:
    """The arguments of ``publish``; ``to`` is the whole ``source:id``."""

    ref: str
    to: str
    license: str | None = None
    data_license: str | None = None
    alias: tuple[str, ...] = ()
    private: bool = True
    allow: tuple[str, ...] = ()

    def knobs(self) -> dict[str, Any]:
        """What a recipe keeps of it beside the model."""
        said = asdict(self)
        said.pop("ref")
        return {**said, "alias": list(self.alias), "allow": list(self.allow)}

    @classmethod
    def of(cls, ref: str, knobs: dict[str, Any]) -> Order:
        """Read :meth:`knobs`' form."""
        words = {name: tuple(knobs.get(name) or ()) for name in ("alias", "allow")}
        return cls(ref, **{**knobs, **words})


def target(to: str, name: str, *, ask: bool) -> tuple[Source, str]:
    """``(source, id)`` of ``SOURCE`` or ``SOURCE:name``; who one is at a hub is asked of it where ``ask``.

    Raises:
        UsageError: no such source, or not a name there.
        UnsupportedError: models are only read from there.
    """
    head, _, id = to.strip().partition(":")
    if not head or "@" in id:
        raise UsageError("publish.bad_target", to=to)
    where = source(head)
    if type(where).publish is Source.publish:
        raise UnsupportedError("catalog.only_read", source=head)
    return where, where.destination(id or name, ask=ask)


def packed(order: Order, emit: Emit, stop: Callable[[], bool] = lambda: False) -> Package:
    """Everything that would be sent, and what forbids it; the model is brought here first where it isn't."""
    found = resolve(order.ref)
    folder = found.source.fetch(found.ref, emit, stop=stop)
    where = source(order.to.partition(":")[0])
    asked = Asked(
        str(found.ref),
        order.to,
        license=order.license,
        data_license=order.data_license,
        alias=order.alias,
        private=order.private,
        public=where.kind == "hub" and not order.private,
        # A hub knows who one is by the token.
        author=user() if where.kind == "folder" else "",
        allow=order.allow,
    )
    return pack(found.source.info(found.ref), folder, asked)


def send(order: Order, emit: Emit, stop: Callable[[], bool] = lambda: False) -> Publication:
    """Pack, check and send.

    Raises:
        RefusedError: something forbids it; nothing was sent.
        ConflictError: stopped; nothing can be seen of it.
    """
    package = packed(order, emit, stop)
    if package.problems:
        raise package.problems[0]
    where, id = target(order.to, "", ask=True)
    made = where.publish(id, package.parcel, emit, stop=stop)
    _note(ModelRef.parse(package.publication.model), package.publication)
    know(where, made)
    return replace(package.publication, ref=str(made), sent=True)


def _note(ref: ModelRef, sent: Publication) -> None:
    """Let the local model be known as the one that was sent: in a list they are one."""
    digest = digest_of((name, sha256) for name, _, sha256 in sent.files.rows)
    if ref.source != "local" or ref.revision is None or digest is None:
        return
    store = Store()
    try:
        store.models.note(ref.id, ref.revision, digest)
    except ModelnookError:
        # It was removed while it was sent.
        return
    store.index.put_models("local", store.models.all(), replace=True)


def know(where: Source, made: ModelRef) -> None:
    """Let the index find it at once."""
    try:
        Store().index.put_models(where.name, [replace(where.info(made.at(None)), ref=str(made.at(None)))])
    except ModelnookError:
        return
