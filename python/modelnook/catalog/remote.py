"""What sources beside the hub share: an address, a token's name, a cache of plain folders; what a listing tells.

A source of this kind says which files a revision has, and brings some of them; the rest is here.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelnook.catalog.base import Held, Source
from modelnook.catalog.folder import (
    Tensor,
    describe,
    dtypes_of,
    formats_of,
    layer_tree,
    parameters_of,
    safetensors_head,
    task_in,
)
from modelnook.catalog.folder_cache import FolderCache, cache_folder
from modelnook.catalog.gguf import Header, parse_header, said_by
from modelnook.catalog.hub_entry import evaluations_in
from modelnook.catalog.hub_errors import Place
from modelnook.catalog.hub_files import RepoFile, needed, packed, risks
from modelnook.catalog.hub_headers import STEPS
from modelnook.catalog.hub_patience import Patience
from modelnook.catalog.papers import card_head, config_in, facts, first
from modelnook.catalog.transfer import Tally, need_room
from modelnook.catalog.variants import digest_of
from modelnook.domain.errors import ModelnookError, OfflineError, RefusedError
from modelnook.domain.event import Emit
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.messages import t
from modelnook.settings import current

__all__ = ["HEAD", "Listing", "RemoteSource", "licence_id"]

HEAD = 1 << 20
"""Bytes of a weight file that are asked for its header."""

_SMALL = 1_000_000
_SHARDS = 8

# What is known of a revision doesn't change: (source's address, id, revision) -> entry.
_KNOWN: dict[tuple[str, str, str], ModelInfo] = {}


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a revision as a source tells them; a size below zero isn't known.

    ``facts`` are fields of the catalogue entry that the source says besides; ``texts`` are small files that came along.
    """

    revision: str
    files: tuple[RepoFile, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)


class RemoteSource(Source):
    """A source that was added with ``--kind``; each has a cache of its own and sees only the token it was given."""

    networked = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        added: dict[str, Any] = next((s for s in current().sources if s["name"] == name), {})
        self.endpoint = str(added.get("url") or "").rstrip("/")
        self._token_env: str | None = added.get("token_env")
        login = t("hub.login_env", name=self._token_env) if self._token_env else t("hub.login_none")
        self.place = Place(name, self.endpoint, login, lambda: self.token, self.page)
        self.cache = FolderCache(cache_folder(self.kind, self.endpoint))

    @property
    def token(self) -> str | None:
        """What the person's variable holds now."""
        return (os.environ.get(self._token_env) if self._token_env else None) or None

    def page(self, id: str) -> str:
        """Where a model's page is, for people."""
        return f"{self.endpoint}/{id}"

    @abstractmethod
    def told(self, shown: str) -> AbstractContextManager[None]:
        """Turns the client's errors into ours."""

    @abstractmethod
    def ask(self, ref: ModelRef) -> Listing:
        """The files at a revision, the newest where none is named."""

    @abstractmethod
    def text(self, ref: ModelRef, listing: Listing, file: RepoFile) -> bytes:
        """A small file's content."""

    @abstractmethod
    def head(self, ref: ModelRef, listing: Listing, file: RepoFile, size: int = HEAD) -> bytes:
        """The first bytes of a weight file, or none where they can't be had alone."""

    @abstractmethod
    def bring(self, ref: ModelRef, listing: Listing, files: Sequence[RepoFile], folder: Path, tally: Tally) -> None:
        """Put files into a folder, each checked against what the source says of it."""

    def info(self, ref: ModelRef) -> ModelInfo:
        """Everything that the source and the file headers say; no weights are taken.

        Raises:
            NotFoundError: no such model or revision, or a private one.
            RefusedError: the token may not see it.
            OfflineError: off or out of reach, and not here.
        """
        known = _KNOWN.get((self._address, ref.id, ref.revision or ""))
        if known is not None:
            return replace(known, ref=self.shown(ref))
        if not current().offline:
            try:
                return self._look(ref)
            except OfflineError:
                if self.here(ref) is None:
                    raise
        folder = self.here(ref)
        if folder is None:
            raise self._offline(ref)
        name = ref.id.rpartition("/")[2]
        found = describe(folder, ref=self.shown(ref), id=ref.id, source=self.name, name=name)
        return replace(found, revision=self.cache.revision_of(folder))

    def fetch(
        self, ref: ModelRef, emit: Emit, *, stop: Callable[[], bool] = lambda: False, allow_pickle: bool = False
    ) -> Path:
        """The revision's folder in this source's cache; what is here isn't asked for.

        Raises:
            RefusedError: forbidden, or pickled weights that weren't allowed.
            OfflineError: off or out of reach, and not here.
            ConflictError: stopped; the next call goes on.
            StoreError: no room, or a damaged file.
        """
        here = self.here(ref)
        if here and (ref.revision or current().offline):
            return here
        if current().offline:
            raise self._offline(ref)
        shown = self.shown(ref)
        patience = Patience(emit, stop, shown)

        def look() -> Listing:
            with self.told(shown):
                return self.ask(ref)

        try:
            listing = patience(look)
        except OfflineError:
            if here is None:
                raise
            return here
        files = {f.name: f for f in listing.files}
        wanted = [files[name] for name in needed(files, shown, allow_pickle=allow_pickle)]
        for file in wanted:
            if "\\" in file.name or ".." in file.name.split("/") or file.name.startswith("/"):
                raise RefusedError("catalog.outside", ref=shown, file=file.name)
        sizes = [f.size for f in wanted]
        total = None if min(sizes) < 0 else sum(sizes)

        def work(folder: Path) -> None:
            need_room(folder, total or 0)
            patience(lambda: bring(folder))

        def bring(folder: Path) -> None:
            tally = Tally(shown, total, emit, stop)
            with self.told(shown):
                self.bring(ref, listing, wanted, folder, tally)
            tally.finish()

        return self.cache.fill(ref.id, listing.revision, shown, stop, work)

    def here(self, ref: ModelRef) -> Path | None:
        """The folder of a revision that is here; without one, of the newest that was brought."""
        return self.cache.folder(ref.id, ref.revision)

    def small(self, ref: ModelRef, name: str) -> bytes | None:
        """See :meth:`Source.small`."""
        if current().offline:
            return None
        try:
            with self.told(self.shown(ref)):
                listing = self.ask(ref)
                large = any(f.name == name and f.size > _SMALL for f in listing.files)
                return None if large else self._read(ref, listing, name)
        except ModelnookError:
            return None

    def held(self) -> list[Held]:
        """Every revision in this source's cache, and parts of downloads."""
        return self.cache.held(self.name)

    def discard(self, ref: ModelRef) -> None:
        """Remove a revision, or all of a model."""
        self.cache.discard(ref.id, ref.revision)

    def names(self) -> list[str]:
        """The ids of what was brought here."""
        return self.cache.names()

    def shown(self, ref: ModelRef) -> str:
        """A reference of this source as a person writes it."""
        return str(ModelRef(self.name, ref.id, ref.revision))

    @property
    def _address(self) -> str:
        return f"{self.kind} {self.endpoint}"

    def _offline(self, ref: ModelRef) -> OfflineError:
        return OfflineError("catalog.offline_ref", ref=self.shown(ref), source=self.name)

    def _look(self, ref: ModelRef) -> ModelInfo:
        shown = self.shown(ref)
        with self.told(shown):
            listing = self.ask(ref)
        try:
            with self.told(shown):
                text = self._read(ref, listing, "README.md").decode("utf-8", "replace")
                config = config_in(self._read(ref, listing, "config.json"))
                tensors, header = self._tensors(ref, listing)
        except RefusedError:
            # Everybody may know what there is, and not everybody may have it: once let in, there is more to tell.
            return replace(self._entry(ref, listing, {}, {}, [], Header()), gated=True)
        info = self._entry(ref, listing, card_head(text), config, tensors, header)
        info = replace(info, metrics=evaluations_in(text))
        _KNOWN[self._address, ref.id, listing.revision] = info
        return info

    def _read(self, ref: ModelRef, listing: Listing, name: str) -> bytes:
        if name in listing.texts:
            return listing.texts[name]
        file = next((f for f in listing.files if f.name == name and f.size <= _SMALL), None)
        return self.text(ref, listing, file) if file else b""

    def _tensors(self, ref: ModelRef, listing: Listing) -> tuple[list[Tensor], Header]:
        """The weights' headers; none where they are many, or one of them can't be read alone."""
        weights = [f for f in listing.files if "/" not in f.name and f.name.endswith(".safetensors")]
        files = {f.name: f for f in listing.files if f.name.endswith(".gguf")}
        if files and not weights:
            header = self._packed(ref, listing, files[packed(files) or min(files)])
            return header.tensors, header
        if len(weights) > _SHARDS:
            return [], Header()
        heads = [safetensors_head(self.head(ref, listing, file)) for file in weights]
        return [tensor for head in heads for tensor in head] if all(heads) else [], Header()

    def _packed(self, ref: ModelRef, listing: Listing, file: RepoFile) -> Header:
        for size in STEPS:
            beginning = self.head(ref, listing, file, size)
            header = parse_header(beginning)
            if header is not None:
                return header
            if len(beginning) < size:
                break
        return Header()

    def _entry(
        self,
        ref: ModelRef,
        listing: Listing,
        card: dict[str, Any],
        config: dict[str, Any],
        tensors: list[Tensor],
        header: Header,
    ) -> ModelInfo:
        names = [f.name for f in listing.files]
        try:
            wanted = needed(names, ref.id, allow_pickle=True)
        except ModelnookError:
            wanted = []
        sizes = [f.size for f in listing.files if f.name in wanted]
        said: dict[str, Any] = {
            "task": first(card.get("pipeline_tag")) or task_in(config),
            **facts(card),
            "parameters": parameters_of(tensors) or None,
            "architecture": next(iter(config.get("architectures") or ()), None) or config.get("model_type"),
        }
        said |= {name: value for name, value in listing.facts.items() if value or not said.get(name)}
        if header.keys:
            said |= {name: value for name, value in said_by(header).items() if not said.get(name)}
        return ModelInfo(
            ref=self.shown(ref),
            id=ref.id,
            source=self.name,
            revision=listing.revision,
            name=ref.id.rpartition("/")[2],
            bytes=sum(sizes) if sizes and min(sizes) >= 0 else None,
            formats=formats_of(names),
            labels=tuple(str(v) for v in (config.get("id2label") or {}).values()),
            risks=risks(names, code=bool(config.get("auto_map"))),
            layers=layer_tree(tensors) or None,
            dtypes=dtypes_of(tensors),
            digest=digest_of((f.name, f.sha256) for f in listing.files),
            page=self.page(ref.id),
            **said,
        )


def licence_id(name: str | None) -> str | None:
    """A licence's name as an id, as other sources write it.

    >>> licence_id("Apache License 2.0"), licence_id("MIT"), licence_id("")
    ('apache-2.0', 'mit', None)
    """
    words = [word for word in (name or "").lower().split() if word not in ("license", "licence", "the")]
    return "-".join(words) or None
