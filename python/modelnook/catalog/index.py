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
from heapq import merge
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from modelnook.catalog import index_rows as rows
from modelnook.catalog.base import Query
from modelnook.catalog.index_broad import FEW, read_broad
from modelnook.catalog.index_file import CODES, SCHEMA, IndexWriter
from modelnook.catalog.index_query import Alternative, Tier, filters, held, tiers
from modelnook.catalog.words import Concept, concepts, name_words
from modelnook.domain.errors import StoreError
from modelnook.domain.model import ModelInfo

__all__ = ["CatalogIndex", "Hit", "Page"]

COUNTED = 1000
"""As far as matches are counted for a page; :meth:`CatalogIndex.facets` counts them all."""

_COLUMNS = "m.id, m.downloads, m.likes, m.parameters, m.updated, m.relation, m.extra, m.facts, m.tags, m.base"
_MATCHING = "FROM names JOIN models m ON m.rank = names.rowid WHERE names MATCH ?"
_FOUND = f"SELECT m.rank, {_COLUMNS} {_MATCHING} ORDER BY names.rowid"
# The order of downloads is that of the rows.
_ORDERS = {"likes": "m.likes DESC", "updated": "m.updated DESC", "size": "m.parameters"}
_BEGINNINGS = 100
_COUNTED_WITHIN = 100_000
_FACETS_SHOWN = 40
_FACETS = {"t": "task", "k": "license", "g": "language", "f": "format", "d": "gated"}


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
    """The indexes below a person's folder. Cheap to make; connections are kept.

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
                for row in file.db.execute(
                    f"SELECT {_COLUMNS} {_MATCHING} AND lower(m.id) = ? LIMIT 1", (expression, id.lower())
                ):
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
            file = _borrowed(path)
            yield file
            if file:
                _returned(file)
        except sqlite3.DatabaseError as error:
            raise StoreError("catalog.index_damaged", source=source, path=path, why=error) from error


# Searches run on threads of their own that end with them: connections wait here for the next one.
_IDLE: dict[Path, list[_File]] = {}
_LOCK = threading.Lock()
_KEPT = 8


def _borrowed(path: Path) -> _File | None:
    """A connection to the file that the name means now, for one thread at a time."""
    try:
        inode = path.stat().st_ino
    except FileNotFoundError:
        return None
    with _LOCK:
        idle = _IDLE.pop(path, [])
        current = [file for file in idle if file.inode == inode]
        file = current.pop() if current else None
        _IDLE[path] = current
    for old in idle:
        if old.inode != inode:
            old.db.close()
    file = file or _File(path, inode)
    if file.schema == SCHEMA:
        return file
    # Of another version: it is read anew by the next refresh.
    file.db.close()
    return None


def _returned(file: _File) -> None:
    with _LOCK:
        idle = _IDLE.setdefault(file.path, [])
        kept = len(idle) < _KEPT
        if kept:
            idle.append(file)
    if not kept:
        file.db.close()


class _File:
    """One open index."""

    def __init__(self, path: Path, inode: int) -> None:
        self.path, self.inode = path, inode
        # It never changes under its inode: no locks are taken.
        address = f"{path.as_uri()}?mode=ro&immutable=1"
        self.db = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA cache_size=-16000")
        self.schema = int(self.db.execute("PRAGMA user_version").fetchone()[0])
        self._facts: dict[int, list[Any]] = {}
        self._tags: dict[int, list[str]] = {}

    def search(self, source: str, query: Query) -> Page:
        if query.sort in _ORDERS:
            return self._sorted(source, query)
        if not concepts(query.text):
            return self._listed(source, query)
        also, kept = held(query), dict[int, Hit]()
        by_use = query.sort == "downloads"
        # Three words that a name has are meant as they are: nothing wider is looked for.
        widest = 2 if len(concepts(query.text)) < 3 else 0
        for tier in tiers(query, self._beginning):
            # The last ones leave a word out, each another one: only where nothing has them all.
            if kept and (by_use or tier.number > widest):
                break
            # By use a name counts no more than what is said: the next way has both, and rows are in that order.
            if by_use and not tier.number:
                continue
            known, rest = self._known(tier, query)
            for rank, row in self._in_order(rest.expression(also) if rest else "", known):
                if rank not in kept and _within(query, row[3]):
                    kept[rank] = Hit(self.entry(source, row), tier.number)
                    if len(kept) >= query.limit:
                        total, more = self._count(tier.expression(also), rank)
                        return Page(tuple(kept.values()), max(total, len(kept)), more)
        return Page(tuple(kept.values()), len(kept))

    def _listed(self, source: str, query: Query) -> Page:
        """Without a word: the most used, or those of them that the filters leave."""
        also = held(query)
        if not also:
            found = self.db.execute(f"SELECT {_COLUMNS} FROM models m ORDER BY rank LIMIT ?", (query.limit,))
            return Page(tuple(Hit(self.entry(source, row)) for row in found), self._rows())
        kept: list[Hit] = []
        expression = " AND ".join(also)
        for rank, row in self._in_order(expression, []):
            if _within(query, row[3]):
                kept.append(Hit(self.entry(source, row)))
                if len(kept) >= query.limit:
                    total, more = self._count(expression, rank)
                    return Page(tuple(kept), max(total, len(kept)), more)
        return Page(tuple(kept), len(kept))

    def _in_order(self, expression: str, ranks: list[int]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Rows by rank: of an expression, and some that are known."""
        marks = ",".join("?" * len(ranks))
        known = f"SELECT m.rank, {_COLUMNS} FROM models m WHERE m.rank IN ({marks}) ORDER BY m.rank"
        found = self.db.execute(_FOUND, (expression,)) if expression else iter(())
        for rank, *row in merge(found, self.db.execute(known, ranks) if ranks else (), key=itemgetter(0)):
            yield rank, tuple(row)

    def _known(self, tier: Tier, query: Query) -> tuple[list[int], Tier | None]:
        """What needs no looking: ranks of words whose entries with these filters are few; and what is left to ask."""
        wanted = filters(query)
        if not wanted or len(tier.parts) != 1:
            return [], tier
        ranks: set[int] = set()
        left: list[Alternative] = []
        codes, sets = _codes(self.path, self.inode)
        for token in tier.parts[0]:
            word = token.removeprefix("~") if isinstance(token, str) else ""
            broad = read_broad(self.db, word) if word else None
            if broad is None:
                left.append(token)
                continue
            n, rarest = min((broad.counts.get(f, 0), f) for f in wanted)
            if n > FEW:
                left.append(token)
            elif n:
                those = [r for r in broad.few[rarest] if sets[codes[r - 1]].issuperset(wanted)]
                ranks.update(r for r in those if token != word or self._is_named(r, word))
        return sorted(ranks), Tier((tuple(left),), tier.number) if left else None

    def _is_named(self, rank: int, word: str) -> bool:
        (id,) = self.db.execute("SELECT id FROM models WHERE rank = ?", (rank,)).fetchone()
        return word in name_words(id)

    def _sorted(self, source: str, query: Query) -> Page:
        """By likes, date or size: all that match are looked at."""
        order, also = _ORDERS[query.sort], held(query)
        if not concepts(query.text) and not also:
            some = "m.parameters > 0" if query.sort == "size" else "m.likes > 0" if query.sort == "likes" else "1"
            sql = f"SELECT {_COLUMNS} FROM models m WHERE {some} ORDER BY {order} LIMIT ?"
            hits = tuple(Hit(self.entry(source, row)) for row in self.db.execute(sql, (query.limit,)))
            return Page(hits, self._rows())
        low, high = query.params or (0, float("inf"))
        some = " AND m.parameters BETWEEN ? AND ?" if query.params else ""
        values = (low, high) if query.params else ()
        known = " AND m.parameters > 0" if query.sort == "size" else ""
        for expression in self._wide(query):
            sql = f"SELECT {_COLUMNS} {_MATCHING}{some}{known} ORDER BY {order} LIMIT ?"
            found = self.db.execute(sql, (expression, *values, query.limit)).fetchall()
            if found:
                total, more = self._count(expression, self._rows())
                return Page(tuple(Hit(self.entry(source, row)) for row in found), max(total, len(found)), more)
        return Page()

    def _wide(self, query: Query) -> Iterator[str]:
        """What matches at all: by name and by what is said; where nothing does, by beginnings, then by fewer words."""
        also = held(query)
        if concepts(query.text):
            yield from (tier.expression(also) for tier in tiers(query, self._beginning) if tier.number)
        elif also:
            yield " AND ".join(also)

    def facets(self, query: Query) -> dict[str, dict[str, int]]:
        asked, counted = concepts(query.text), Counter[str]()
        codes, sets = _codes(self.path, self.inode)
        plain = len(asked) == 1 and asked[0] == Concept(asked[0].text)
        broad = read_broad(self.db, asked[0].text) if plain else None
        if broad and not held(query):
            counted.update(broad.counts)
            total = broad.total
        else:
            by_code = Counter(codes) if not asked and not held(query) else Counter[int]()
            # Words that are left out are for a list that would be empty, not for counts.
            for expression in islice(self._wide(query), 2):
                if not by_code:
                    found = self.db.execute("SELECT rowid FROM names WHERE names MATCH ?", (expression,))
                    by_code = Counter([codes[rank - 1] for (rank,) in found])
            total = by_code.total()
            for code, n in by_code.items():
                for token in sets[code]:
                    counted[token] += n
        facets: dict[str, dict[str, int]] = {name: {} for name in _FACETS.values()}
        for token, n in counted.most_common():
            if token[0] in _FACETS and len(facets[_FACETS[token[0]]]) < _FACETS_SHOWN:
                facets[_FACETS[token[0]]][token[2:]] = n
        return {"total": {"": total}, **facets}

    def _rows(self) -> int:
        return int(self.db.execute("SELECT said FROM meta WHERE name='count'").fetchone()[0])

    def _count(self, expression: str, last: int) -> tuple[int, bool]:
        """``(matches, whether there may be more)``: up to a thousand, not far beyond the last row of the page."""
        sql = "SELECT count(*) FROM (SELECT 1 FROM names WHERE names MATCH ? AND rowid <= ? LIMIT ?)"
        bound = last + _COUNTED_WITHIN
        n = int(self.db.execute(sql, (expression, bound, COUNTED + 1)).fetchone()[0])
        return min(n, COUNTED), n > COUNTED or bound < self._rows()

    def _beginning(self, prefix: str) -> list[str]:
        """The words that begin so, in the order of the most used model that has them.

        The best k models of a beginning have words that stand among the first k here.
        """
        if read_broad(self.db, prefix):
            return [prefix]  # so many have the word itself that nothing longer is missed
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
def _codes(path: Path, inode: int) -> tuple[array[int], list[frozenset[str]]]:
    """The code of every row's filters, and the tokens that each stands for; shared by a process's threads."""
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        codes = array(CODES)
        codes.frombytes(db.execute("SELECT said FROM codes").fetchone()[0])
        said = [frozenset(json.loads(said)) for (said,) in db.execute("SELECT said FROM facets ORDER BY n")]
    finally:
        db.close()
    return codes, said
