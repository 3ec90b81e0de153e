"""A model: how it is named, what is known of it, what may be done with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from modelnook.domain.errors import UsageError
from modelnook.domain.shown import Shown
from modelnook.domain.table import Table

__all__ = ["RELATIONS", "Licence", "ModelInfo", "ModelRef", "Risk", "SearchResult", "Terms", "is_path"]

RELATIONS = ("quantized", "adapter", "finetune", "merge")
"""How a model comes from its base, as the hub's tags say; an index's row keeps the place in this list, from 1."""

_SOURCE = re.compile(r"[a-z0-9-]{2,}")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True, slots=True)
class ModelRef:
    """``source:id@revision``; source and revision are optional, a path names a model folder.

    >>> ModelRef.parse("hub:owner/name@v1")
    ModelRef(source='hub', id='owner/name', revision='v1')
    >>> str(ModelRef.parse("spam@2"))
    'spam@2'
    >>> ModelRef.parse("./out").source
    'path'
    """

    source: str | None
    id: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        """Read a reference as a person writes it.

        Raises:
            UsageError: empty, or a source name of other characters than ``[a-z0-9-]``.
        """
        text = text.strip()
        if is_path(text):
            return cls("path", text)
        source, colon, rest = text.partition(":")
        if not colon:
            source, rest = "", text
        elif not _SOURCE.fullmatch(source):
            raise UsageError("core.bad_ref", ref=text)
        name, at, revision = rest.rpartition("@")
        if not at:
            name, revision = rest, ""
        if not name or (at and not revision):
            raise UsageError("core.bad_ref", ref=text)
        return cls(source or None, name, revision or None)

    def __str__(self) -> str:
        if self.source == "path":
            return self.id
        head = f"{self.source}:" if self.source else ""
        tail = f"@{self.revision}" if self.revision else ""
        return f"{head}{self.id}{tail}"

    def at(self, revision: str | None) -> ModelRef:
        """The same model at another revision."""
        return replace(self, revision=revision)


def is_path(text: str) -> bool:
    """Whether a reference is a path to a folder, by its first characters."""
    return text.startswith((".", "/", "~")) or "\\" in text or bool(_DRIVE.match(text))


# (commercial use, may be changed and shared, share-alike); by SPDX id or the hub's own names.
_PERMISSIVE = frozenset(
    "apache-2.0 mit bsd bsd-2-clause bsd-3-clause isc unlicense cc0-1.0 cc-by-4.0 cc-by-3.0 cc-by-2.0 afl-3.0 "
    "wtfpl zlib pddl-1.0 odc-by cdla-permissive-2.0 cdla-permissive-1.0 artistic-2.0 bsl-1.0 ecl-2.0 ms-pl".split()
)
_COPYLEFT = frozenset(
    "gpl gpl-2.0 gpl-3.0 agpl-3.0 lgpl lgpl-2.1 lgpl-3.0 mpl-2.0 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 osl-3.0 "
    "cc-by-sa-3.0 cc-by-sa-4.0 odbl gfdl cdla-sharing-1.0".split()
)


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence by its id, sorted into what a person needs to know first.

    >>> Licence("apache-2.0").kind, Licence("cc-by-nc-4.0").kind, Licence(None).kind
    ('permissive', 'noncommercial', 'unknown')
    """

    id: str | None

    @property
    def kind(self) -> str:
        """``permissive``, ``copyleft``, ``noncommercial``, ``other`` (read it) or ``unknown``."""
        if not self.id or self.id.lower() in ("unknown", "none"):
            return "unknown"
        name = self.id.lower()
        if name in _PERMISSIVE:
            return "permissive"
        if name in _COPYLEFT:
            return "copyleft"
        if "-nc" in name or "noncommercial" in name or "non-commercial" in name:
            return "noncommercial"
        return "other"


@dataclass(frozen=True, slots=True)
class Terms:
    """A licence in plain words. Sentences are in the person's language and empty where nothing is known.

    ``commercial`` and ``share_alike`` are ``yes``, ``no``, ``conditions`` or ``unknown``; ``condition`` says on which
    one commercial use depends; ``clause`` is quoted from the licence itself; ``note`` says that it is no legal advice.
    """

    kind: str
    name: str = ""
    commercial: str = "unknown"
    share_alike: str = "unknown"
    condition: str = ""
    must: str = ""
    forbidden: str = ""
    clause: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Risk:
    """One thing to know before taking a model: ``code`` (``pickle``, ``remote_code``, ``unsafe`` …) and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ModelInfo(Shown):
    """A catalogue entry. ``None`` where a source doesn't say.

    ``bytes`` counts every file of the model's folder; ``memory_*`` are bytes needed to run it and to train it with
    LoRA and in full; ``memory_free`` is what this machine has now.
    """

    ref: str
    id: str
    source: str
    revision: str | None = None
    name: str = ""
    task: str | None = None
    license: str | None = None
    language: tuple[str, ...] = ()
    parameters: int | None = None
    bytes: int | None = None
    formats: tuple[str, ...] = ()
    architecture: str | None = None
    downloads: int | None = None
    likes: int | None = None
    base_model: str | None = None
    memory_run: int | None = None
    memory_lora: int | None = None
    memory_full: int | None = None
    memory_free: int | None = None
    risks: tuple[Risk, ...] = ()
    summary: str = ""
    updated: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    layers: str | None = None
    path: str | None = None
    gated: bool = False
    run: str | None = None
    relation: str | None = None
    """How it comes from ``base_model``: one of :data:`RELATIONS`."""
    bases: tuple[str, ...] = ()
    """All that it comes from, where that is more than ``base_model``."""
    variants: tuple[str, ...] = ()
    """In a list: the references of what comes from this model and matched as well."""
    also: tuple[str, ...] = ()
    """In a list: the references under which other sources have the same files."""
    digest: str | None = None
    """What its weights' checksums make together, where the source tells them."""
    dtypes: dict[str, int] = field(default_factory=dict)
    """Numbers of each type in the weights' headers."""
    terms: Terms | None = None
    """The licence in plain words: what ``info`` says, not a list."""
    disk_free: int | None = None
    page: str | None = None
    """Its page, where one asks for access to it."""
    unfit: tuple[str, ...] = ()
    """The verbs that refuse it, whatever the rows: what ``info`` says, not a list."""

    @property
    def license_kind(self) -> str:
        """See :attr:`Licence.kind`; ``own`` of what a person made here from nobody's model, until one is chosen."""
        made_here = self.source == "local" and not (self.base_model or self.bases)
        kind = Licence(self.license).kind
        return "own" if made_here and kind == "unknown" else kind

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, as it crosses RPC."""
        return {**asdict(self), "license_kind": self.license_kind}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelInfo:
        """Read :meth:`to_dict`'s form; unknown keys, as a newer version writes them, are left out."""
        known = {k: v for k, v in data.items() if k in cls.__dataclass_fields__}
        for name in ("language", "formats", "labels", "tags", "variants", "also", "bases", "unfit"):
            known[name] = tuple(known.get(name) or ())
        known["risks"] = tuple(Risk(**r) for r in known.get("risks") or ())
        known["terms"] = Terms(**known["terms"]) if known.get("terms") else None
        return cls(**known)


@dataclass(frozen=True, slots=True, repr=False)
class SearchResult(Shown):
    """What a search found: iterable of :class:`ModelInfo`, with a note for each source that couldn't answer."""

    items: tuple[ModelInfo, ...]
    query: str = ""
    notes: tuple[str, ...] = ()
    total: int = 0
    hint: str = ""
    """What to do next: where nothing was found, what to leave out."""
    more: bool = False
    """Whether ``total`` is only as far as was counted."""
    silent: dict[str, str] = field(default_factory=dict)
    """Of the notes those on sources that were asked and aren't there or in reach, by their names."""

    def __iter__(self) -> Iterator[ModelInfo]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> ModelInfo:
        return self.items[index]

    def table(self) -> Table:
        """The columns that a list of models shows."""
        names = ("ref", "task", "parameters", "bytes", "license", "language", "downloads")
        return Table(names, tuple(tuple(getattr(m, n) for n in names) for m in self.items))

    def to_frame(self) -> Any:
        """A pandas DataFrame, one row a model."""
        return self.table().to_frame()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "items": [m.to_dict() for m in self.items],
            "query": self.query,
            "notes": list(self.notes),
            "total": self.total or len(self.items),
            "hint": self.hint,
            "more": self.more,
            "silent": dict(self.silent),
        }
