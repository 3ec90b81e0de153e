"""What a catalogue source is: it can search, describe and fetch. The index is not its business."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelnook.catalog.licences import allows
from modelnook.catalog.words import concepts, language_code, name_words
from modelnook.domain.errors import UnsupportedError, UsageError
from modelnook.domain.event import Emit
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.domain.table import Table

__all__ = ["RUN_FILE", "Held", "Parcel", "Query", "Source", "params_range"]

RUN_FILE = "modelnook-run.json"
"""The file of a published model that holds its run's record."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for.

    ``params`` is a (low, high) range of parameter counts; ``license`` an id, a kind or ``commercial``.
    """

    text: str = ""
    task: str | None = None
    license: str | None = None
    language: str | None = None
    params: tuple[float, float] | None = None
    sort: str = "relevance"
    limit: int = 20
    format: str | None = None
    gated: bool | None = None

    def matches(self, info: ModelInfo) -> bool:
        """Whether an entry passes; every source's answer is filtered by this once more, since peers ignore filters.

        What an entry doesn't say passes no filter, as in the index.
        """
        said = " ".join((info.ref, info.name, info.summary, info.task or "", info.architecture or "", *info.tags))
        hay, words = said.lower(), frozenset(name_words(said))
        languages = tuple(map(language_code, info.language))
        asked = concepts(self.text)
        return (
            all(c.said_in(hay, words, info.task, languages) for c in asked)
            and (bool(asked) or not self.text.strip())
            and (self.task is None or (info.task or "").lower() == self.task.lower())
            and (self.license is None or allows(info.license, self.license))
            and (self.language is None or language_code(self.language) in languages)
            and (self.format is None or self.format.lower() in info.formats)
            and (self.gated is None or info.gated == self.gated)
            and (
                self.params is None
                or (info.parameters is not None and self.params[0] <= info.parameters <= self.params[1])
            )
        )


@dataclass(frozen=True, slots=True)
class Parcel:
    """A model as it is sent. ``files`` is a name, with ``/`` between folders, and a path or the bytes themselves.

    ``info`` is the entry that others find it by; ``alias`` are the names that shall mean this version from now on.
    """

    files: Mapping[str, Path | bytes]
    info: ModelInfo
    author: str = ""
    alias: tuple[str, ...] = ()
    private: bool = True


@dataclass(frozen=True, slots=True)
class Held:
    """A revision of a source's model that takes room on this machine, in bytes.

    ``used`` is when it was last fetched or read, in seconds since 1970; ``part`` means that its download isn't done.
    """

    ref: ModelRef
    bytes: int
    used: float | None = None
    part: bool = False


class Source(ABC):
    """One place where models are.

    Args:
        name: the name before the colon in a reference.
    """

    kind: str
    """What ``sources add --kind`` calls it."""

    networked: bool = False
    """Whether it is asked only when online."""

    fleeting: bool = False
    """Whether what it has is this process's own, so that no other could send anything there."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def admit(cls, name: str, url: str) -> str:
        """The address to keep for a source that is being added; a kind that can tell refuses what won't do.

        Raises:
            UsageError: a source on the network has no address there.
        """
        if cls.networked and not re.match(r"https?://[^/\s]", url):
            raise UsageError("catalog.source_url", url=url)
        return url

    @abstractmethod
    def search(self, query: Query) -> list[ModelInfo]:
        """Entries that match, best first; at most ``query.limit``.

        Raises:
            OfflineError: can't be reached (within its deadline).
        """

    @abstractmethod
    def info(self, ref: ModelRef) -> ModelInfo:
        """Everything known without downloading weights.

        Raises:
            NotFoundError: no such model or revision here.
        """

    @abstractmethod
    def fetch(
        self, ref: ModelRef, emit: Emit, *, stop: Callable[[], bool] = lambda: False, allow_pickle: bool = False
    ) -> Path:
        """A local folder with the model's files, complete and verified; downloads what isn't there.

        Emits ``Progress(phase="downloading", step=bytes, total=bytes)``.
        """

    def pinned(self, ref: ModelRef) -> ModelRef:
        """The reference with the revision that it means now, so that a job's record stays true."""
        return ref if ref.revision and self.networked else ref.at(self.info(ref).revision)

    def destination(self, id: str, *, ask: bool = True) -> str:
        """The whole id under which a model would be published as ``id``; without ``ask`` no network is used.

        Raises:
            UsageError: it can't be an id here.
        """
        return id

    def publish(self, id: str, parcel: Parcel, emit: Emit, *, stop: Callable[[], bool] = lambda: False) -> ModelRef:
        """Send a model under an id; gives the reference with the version that it got.

        Emits ``Progress(phase="uploading", step=bytes, total=bytes)``.

        Raises:
            ConflictError: stopped; nothing can be seen of it.
            UnsupportedError: models are only read from here.
        """
        raise UnsupportedError("catalog.only_read", source=self.name)

    def alias(self, ref: ModelRef, name: str | None = None, *, back: bool = False) -> Table:
        """What an alias of a model has meant, newest first; with a revision it is set first, ``back`` undoes that.

        Raises:
            UnsupportedError: there are no aliases here.
        """
        raise UnsupportedError("catalog.no_aliases", source=self.name)

    def withdraw(self, ref: ModelRef, why: str = "", *, back: bool = False) -> Table:
        """Take back a version, so that nobody finds it any more; ``back`` undoes that. Gives the model's versions.

        Raises:
            UnsupportedError: what was published here can't be taken back by us.
        """
        raise UnsupportedError("catalog.no_withdrawal", source=self.name)

    def here(self, ref: ModelRef) -> Path | None:
        """The folder of a model that lies on this machine whole; nobody is asked."""
        return None if self.networked else self.fetch(ref, lambda event: None)

    def small(self, ref: ModelRef, name: str) -> bytes | None:
        """A small file of a model that needn't be here, such as its tokenizer's settings; empty where it has none.

        None where that can't be told: nobody answers, or who asks may not read it.
        """
        return None

    def held(self) -> list[Held]:
        """What the source has brought to this machine: what ``cache`` lists and ``cache rm`` may remove."""
        return []

    def discard(self, ref: ModelRef) -> None:
        """Remove what :meth:`held` lists of a revision; of all of them where the reference names none."""

    def listing(self, limit: int) -> list[ModelInfo]:
        """What the source has, for the index; the most downloaded first where it can't all be told.

        Raises:
            OfflineError: can't be reached (within its deadline).
        """
        return self.search(Query(limit=limit if self.networked else 1_000_000))

    def names(self) -> list[str]:
        """The ids it can list without a network, for completion and near misses."""
        return []

    def has(self, id: str) -> bool:
        """Whether an id is one of :meth:`names`."""
        return id in self.names()


def params_range(text: str | None) -> tuple[float, float] | None:
    """Read ``10M-500M``, ``<1B`` or ``>100M`` as (low, high).

    >>> params_range("10M-0.5B"), params_range("<100k")
    ((10000000.0, 500000000.0), (0.0, 100000.0))
    """
    if not text:
        return None
    number = r"(\d+(?:\.\d+)?)([kKmMbB]?)"
    match = re.fullmatch(rf"\s*(?:{number}\s*-\s*{number}|([<>])\s*{number})\s*", text)
    if not match:
        raise UsageError("catalog.bad_params", params=text)
    low, low_unit, high, high_unit, sign, one, one_unit = match.groups()
    scale = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}
    if sign:
        value = float(one) * scale[one_unit.lower()]
        return (value, float("inf")) if sign == ">" else (0.0, value)
    return float(low) * scale[low_unit.lower()], float(high) * scale[high_unit.lower()]
