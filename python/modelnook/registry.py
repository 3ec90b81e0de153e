"""One lazy registry for every plugin family: a name, where its code lives, what it needs.

A row is a string until it is used; whether it can be used is asked of :func:`importlib.util.find_spec`, so listing
imports nothing. Packages outside add rows through the entry point group ``modelnook.FAMILY``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any, Generic, TypeVar

from modelnook.domain.errors import MissingPackage, unknown
from modelnook.messages import t

__all__ = ["Entry", "Registry", "installed"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """``target`` is ``module:Object``; ``requires`` are import names; ``extra`` is what ``modelnook[extra]`` installs.

    ``light`` is a second target for the declarative half, where the first one imports heavy packages.
    ``gpu`` marks what can't run on a CPU, ``for_gpu`` what can and is made for GPUs: ``auto`` leaves it out on a CPU
    where anything else is there. ``alone`` marks a method that needs no base model. ``schemes`` are a quantizer's
    values of ``to=``, ``gpu_schemes`` those of them that need a GPU; ``either`` are schemes with packages or programs
    of which one must be there. ``tasks`` are the only ones that it does, where it doesn't do all, ``never`` those that
    it doesn't.
    """

    target: str
    summary: str
    requires: tuple[str, ...] = ()
    extra: str = ""
    light: str = ""
    gpu: bool = False
    for_gpu: bool = False
    alone: bool = False
    schemes: tuple[str, ...] = ()
    gpu_schemes: tuple[str, ...] = ()
    either: tuple[tuple[str, tuple[str, ...]], ...] = ()
    tasks: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The required packages that aren't installed."""
        return tuple(r for r in self.requires if not _installed(r))

    def lacks(self, scheme: str) -> tuple[str, ...]:
        """The packages or programs that a scheme needs one of, where none of them is there."""
        names = dict(self.either).get(scheme, ())
        return () if any(_installed(name) or which(name) for name in names) else names


def installed() -> tuple[tuple[str, int], ...]:
    """Differs once a package was installed, upgraded or removed: each changes its folder's entries, hence its time."""
    found = []
    for entry in dict.fromkeys(sys.path):
        try:
            found.append((entry, Path(entry or ".").stat().st_mtime_ns))
        except OSError:
            continue
    return tuple(found)


@lru_cache(maxsize=1)
def _points(stamps: tuple[tuple[str, int], ...]) -> Any:
    """Every package's entry points: read once for all families, a file a package is the slowest of a cold start."""
    from importlib.metadata import entry_points

    return entry_points()


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


class Registry(Mapping[str, Entry], Generic[T]):
    """Rows of one family, e.g. ``QUANTIZERS``; ``load`` gives the object a row names.

    >>> QUANTIZERS: Registry[object] = Registry("quantizer", {"none": Entry("builtins:object", "nothing at all")})
    >>> QUANTIZERS.load("none")
    <class 'object'>
    """

    def __init__(self, family: str, rows: Mapping[str, Entry], also: Mapping[str, str] | None = None) -> None:
        self.family = family
        self._rows = dict(rows)
        self.also = dict(also or {})
        """Other names of rows, which are known and not listed."""

    @cached_property
    def _all(self) -> dict[str, Entry]:
        return {**self._outside(), **self._rows}

    def _outside(self) -> dict[str, Entry]:
        rows = {}
        for point in _points(installed()).select(group=f"modelnook.{self.family}s"):
            rows[point.name] = Entry(point.value, point.dist.name if point.dist else point.value)
        return rows

    def __getitem__(self, name: str) -> Entry:
        try:
            return self._all[self.also.get(name, name)]
        except KeyError:
            raise unknown(self.family, name, self._all) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, name: object) -> bool:
        return name in self._all or name in self.also

    def available(self) -> list[str]:
        """The names whose packages are installed."""
        return [name for name, entry in self._all.items() if not entry.missing]

    def check(self, name: str) -> Entry:
        """The row of a name that can be used; nothing is imported.

        Raises:
            UsageError: no such row (a near miss is suggested).
            MissingPackage: a required package isn't installed; the hint is the pip command.
        """
        entry = self[name]
        if entry.missing:
            raise MissingPackage(
                "core.missing_packages" if len(entry.missing) > 1 else "core.missing_package",
                family=t(f"what.{self.family}"),
                name=name,
                package=t("core.separator").join(entry.missing),
                extra=entry.extra or name,
            )
        return entry

    def load(self, name: str, *, light: bool = False, without: bool = False) -> T:
        """Import and give what a row names. Raises as :meth:`check` does, ``without`` packages only for no such row."""
        entry = self[name] if without else self.check(name)
        module, _, attribute = ((light and entry.light) or entry.target).partition(":")
        found: Any = import_module(module)
        return getattr(found, attribute)  # type: ignore[no-any-return]
