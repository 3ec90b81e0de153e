"""The catalogue of a source, here: found in milliseconds among millions, and without a network.

``MODELNOOK_HOME/catalogue/SOURCE.sqlite`` holds what ``sources refresh`` has read, in the order of use, so that the
first rows of an answer are its best and nothing is sorted (see :mod:`~modelnook.catalog.index_file`). Files are only
ever replaced: any number of processes read while one writes the next, without a lock.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from modelnook.catalog import index_rows as rows
from modelnook.catalog.base import Query
from modelnook.catalog.index_file import CODES, SCHEMA, IndexWriter
from modelnook.catalog.index_query import tiers
from modelnook.catalog.words import name_words
from modelnook.domain.errors import StoreError
from modelnook.domain.model import ModelInfo

__all__ = ["CatalogIndex", "Hit", "Page"]

COUNTED = 1000
"""As far as matches are counted for a page; :meth:`CatalogIndex.facets` counts them all."""

_COLUMNS = "m.id, m.downloads, m.likes, m.parameters, m.updated, m.relation, m.extra, m.facts, m.tags, m.base"
_FOUND = f"SELECT {_COLUMNS} FROM names JOIN models m ON m.rank = names.rowid WHERE names MATCH ?"
_ORDERS = {"likes": "m.likes DESC", "updated": "m.updated DESC", "size": "m.parameters"}
_BEGINNINGS = 200
_FACETS = {"t": "task", "k": "license", "g": "language", "f": "format", "d": "gated"}
_LOCAL = threading.local()


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry and how near it is to the words: 0 by its name, 1 by what is said of it, 2 by a beginning, 3 in part."""

    info: ModelInfo
    tier: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """The first hits, and how many there are; ``more``: only so many were counted."""

    hits: tuple[Hit, ...] = ()
    total: int = 0
    more: bool = False


class CatalogIndex:
    """The indexes below a person's folder. Cheap to make; connections are kept, one a thread and file.

    Args:
        home: ``MODELNOOK_HOME``.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home.resolve() / "catalogue"

    def path(self, source: str) -> Path:
        """A source's file."""
        return self.folder / f"{source}.sqlite"

    def sources(self) -> list[str]:
        """The sources that have an index."""
        return sorted(p.stem for p in self.folder.glob("*.sqlite")) if self.folder.is_dir() else []

    def has(self, source: str) -> bool:
        """Whether a source's catalogue is here, in a form that this version reads."""
        with self._file(source) as file:
            return file is not None

    def meta(self, source: str) -> dict[str, str]:
        """What was noted as it was written: ``count``, ``refreshed`` …; empty without an index."""
        with self._file(source) as file:
            return dict(file.db.execute("SELECT name, said FROM meta")) if file else {}

    def counts(self) -> dict[str, int]:
        """Source -> entries."""
        return {s: int(self.meta(s).get("count", 0)) for s in self.sources()}

    def write(self, source: str, infos: Iterable[ModelInfo], **meta: str) -> int:
        """Replace a source's catalogue by entries that come in the order of :func:`~.index_rows.rank_of`; how many.

        Raises:
            StoreError: no room; what was there before stands.
        """
        try:
            with IndexWriter(self.path(source), **meta) as writer:
                writer.add(infos)
        except (OSError, sqlite3.OperationalError) as error:
            raise StoreError("catalog.index_not_written", source=source, path=self.path(source), why=error) from error
        return writer.count

    def drop(self, source: str) -> None:
        """Forget a source's catalogue."""
        self.path(source).unlink(missing_ok=True)

    def all(self, source: str) -> Iterator[ModelInfo]:
        """Every entry, the most used first."""
        with self._file(source) as file:
            if file:
                for row in file.db.execute(f"SELECT {_COLUMNS} FROM models m ORDER BY rank"):
                    yield file.entry(source, row)

    def get(self, source: str, id: str) -> ModelInfo | None:
        """The entry of an id, in small or capital letters."""
        words = name_words(id)
        if not words:
            return None
        expression = " AND ".join('"' + w.replace('"', "") + '"' for w in words)
        with self._file(source) as file:
            if file:
                for row in file.db.execute(f"{_FOUND} AND lower(m.id) = ? LIMIT 1", (expression, id.lower())):
                    return file.entry(source, row)
        return None

    def search(self, source: str, query: Query) -> Page:
        """The best ``query.limit`` entries of a source; none where it has no index."""
        with self._file(source) as file:
            return file.search(source, query) if file else Page()

    def facets(self, source: str, query: Query) -> dict[str, dict[str, int]]:
        """How many of all matches have which task, kind of licence, language, format; ``{"total": {"": n}}`` with
        them.
        """
        with self._file(source) as file:
            return file.facets(query) if file else {"total": {"": 0}}

    @contextmanager
    def _file(self, source: str) -> Iterator[_File | None]:
        path = self.path(source)
        try:
            yield _opened(path)
        except sqlite3.DatabaseError as error:
            raise StoreError("catalog.index_damaged", source=source, path=path, why=error) from error


def _opened(path: Path) -> _File | None:
    """This thread's connection to the file that the name means now."""
    held: dict[Path, _File] = _LOCAL.__dict__.setdefault("files", {})
    try:
        inode = path.stat().st_ino
    except FileNotFoundError:
        inode = -1
    file = held.get(path)
    if file and file.inode != inode:
        file.db.close()
        del held[path]
        file = None
    if file is None and inode >= 0:
        file = _File(path, inode)
        if file.schema != SCHEMA:
            # Of another version: it is read anew by the next refresh.
            file.db.close()
            return None
        held[path] = file
    return file


class _File:
    """One open index."""

    def __init__(self, path: Path, inode: int) -> None:
        self.path, self.inode = path, inode
        # It never changes under its inode: no locks are taken.
        self.db = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
        self.db.execute("PRAGMA cache_size=-16000")
        self.schema = int(self.db.execute("PRAGMA user_version").fetchone()[0])
        self._facts: dict[int, list[Any]] = {}
        self._tags: dict[int, list[str]] = {}

    def search(self, source: str, query: Query) -> Page:
        if query.sort in _ORDERS:
            return self._sorted(source, query)
        tried = tiers(query, self._beginning)
        if not tried:
            found = self.db.execute(f"SELECT {_COLUMNS} FROM models m ORDER BY rank LIMIT ?", (query.limit,))
            hits = tuple(Hit(self.entry(source, row)) for row in found)
            return Page(hits, int(self.db.execute("SELECT said FROM meta WHERE name='count'").fetchone()[0]))
        kept: dict[str, Hit] = {}
        expression = ""
        for tier, made in enumerate(tried):
            # The last ones leave a word out, each another one: only where nothing has them all.
            if len(kept) >= query.limit or (tier > 2 and kept):
                break
            expression = made()
            for row in self.db.execute(f"{_FOUND} ORDER BY names.rowid", (expression,)):
                if row[0] not in kept and _within(query, row[3]):
                    kept[row[0]] = Hit(self.entry(source, row), min(tier, 3))
                    if len(kept) >= query.limit:
                        break
        total, more = self._count(expression)
        return Page(tuple(kept.values()), max(total, len(kept)), more)

    def _sorted(self, source: str, query: Query) -> Page:
        """By likes, date or size: all that match are looked at."""
        order = _ORDERS[query.sort]
        tried = tiers(query, self._beginning)
        if not tried:
            some = "m.parameters > 0" if query.sort == "size" else "m.likes > 0" if query.sort == "likes" else "1"
            sql = f"SELECT {_COLUMNS} FROM models m WHERE {some} ORDER BY {order} LIMIT ?"
            hits = tuple(Hit(self.entry(source, row)) for row in self.db.execute(sql, (query.limit,)))
            return Page(hits, int(self.db.execute("SELECT said FROM meta WHERE name='count'").fetchone()[0]))
        low, high = query.params or (0, float("inf"))
        some = " AND m.parameters BETWEEN ? AND ?" if query.params else ""
        values = (low, high) if query.params else ()
        known = " AND m.parameters > 0" if query.sort == "size" else ""
        for made in tried[1:3] or tried:
            expression = made()
            sql = f"{_FOUND}{some}{known} ORDER BY {order} LIMIT ?"
            found = self.db.execute(sql, (expression, *values, query.limit)).fetchall()
            if found:
                total, more = self._count(expression)
                return Page(tuple(Hit(self.entry(source, row)) for row in found), max(total, len(found)), more)
        return Page()

    def facets(self, query: Query) -> dict[str, dict[str, int]]:
        tried = tiers(query, self._beginning)
        codes, sets = _codes(self.path, self.inode)
        if not tried:
            counted = Counter(codes)
        else:
            for made in tried[1:3] or tried:
                found = self.db.execute("SELECT rowid FROM names WHERE names MATCH ?", (made(),)).fetchall()
                if found:
                    break
            counted = Counter([codes[rank - 1] for (rank,) in found])
        totals: dict[str, Counter[str]] = {name: Counter() for name in _FACETS.values()}
        for code, n in counted.items():
            for name, value in sets[code]:
                totals[name][value] += n
        return {"total": {"": counted.total()}, **{name: dict(c.most_common(40)) for name, c in totals.items()}}

    def _count(self, expression: str) -> tuple[int, bool]:
        sql = "SELECT count(*) FROM (SELECT 1 FROM names WHERE names MATCH ? LIMIT ?)"
        n = int(self.db.execute(sql, (expression, COUNTED + 1)).fetchone()[0])
        return min(n, COUNTED), n > COUNTED

    def _beginning(self, prefix: str) -> list[str]:
        """The words that begin so, in the order of the most used model that has them.

        The best k models of a beginning have words that stand among the first k here.
        """
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        sql = "SELECT word FROM words WHERE word >= ? AND word < ? ORDER BY first LIMIT ?"
        return [word for (word,) in self.db.execute(sql, (prefix, end, _BEGINNINGS))]

    def entry(self, source: str, row: tuple[Any, ...]) -> ModelInfo:
        facts, tags, base = row[7:]
        base_model = self._said("bases", base) if base else None
        if facts not in self._facts:
            if len(self._facts) > 5000:
                self._facts.clear()
            self._facts[facts] = json.loads(self._said("facts", facts))
        if tags not in self._tags:
            if len(self._tags) > 5000:
                self._tags.clear()
            said = self._said("tags", tags)
            self._tags[tags] = said.split("\n") if said else []
        return rows.decoded(source, row[:7], self._facts[facts], self._tags[tags], base_model)

    def _said(self, table: str, n: int) -> str:
        return str(self.db.execute(f"SELECT said FROM {table} WHERE n=?", (n,)).fetchone()[0])


def _within(query: Query, parameters: int | None) -> bool:
    """Whether a size is in the range: the buckets at its edges hold others too."""
    return query.params is None or (parameters is not None and query.params[0] <= parameters <= query.params[1])


@lru_cache(maxsize=4)
def _codes(path: Path, inode: int) -> tuple[array[int], list[list[tuple[str, str]]]]:
    """The facet code of every row, and what each code stands for; shared by a process's threads."""
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        codes = array(CODES)
        codes.frombytes(db.execute("SELECT said FROM codes").fetchone()[0])
        said = [json.loads(said) for (said,) in db.execute("SELECT said FROM facets ORDER BY n")]
    finally:
        db.close()
    return codes, [[(_FACETS[token[0]], token[2:]) for token in tokens] for tokens in said]
