"""A source's index file, being written: rows in the order of their use, so that row order is rank order.

A file is never changed: it is written under another name and moved into its place, and who reads the old one goes on
doing so. That is all the locking there is.
"""

from __future__ import annotations

import gc
import json
import os
import sqlite3
from array import array
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from modelnook.catalog import index_rows as rows
from modelnook.catalog.index_broad import broad_words
from modelnook.catalog.words import name_words
from modelnook.domain.model import RELATIONS, ModelInfo
from modelnook.store.files import folder, temporary

__all__ = ["CODES", "PREFIXES_OF", "SCHEMA", "IndexWriter"]

SCHEMA = 2
CODES = "I"
"""The type of the array of facet codes, one a row."""

# Punctuation belongs to tokens: they are made by us and divided by spaces alone.
_TOKENS = "~=.-_:/+@#"
_TABLES = f"""
CREATE TABLE models(
  rank INTEGER PRIMARY KEY, id TEXT, downloads INT, likes INT, parameters INT, updated INT, relation INT, extra TEXT,
  facts INT, tags INT, base INT);
CREATE TABLE facts(n INTEGER PRIMARY KEY, said TEXT);
CREATE TABLE tags(n INTEGER PRIMARY KEY, said TEXT);
CREATE TABLE bases(n INTEGER PRIMARY KEY, said TEXT);
CREATE TABLE facets(n INTEGER PRIMARY KEY, said TEXT);
CREATE TABLE codes(n INTEGER PRIMARY KEY, said BLOB);
CREATE TABLE words(word TEXT PRIMARY KEY, first INT) WITHOUT ROWID;
CREATE TABLE broad(word TEXT PRIMARY KEY, said TEXT) WITHOUT ROWID;
CREATE TABLE meta(name TEXT PRIMARY KEY, said TEXT);
CREATE VIRTUAL TABLE names USING fts5(
  words, content='', columnsize=0, detail='none', tokenize="ascii tokenchars '{_TOKENS}'");
INSERT INTO names(names, rank) VALUES('automerge', 0);
INSERT INTO names(names, rank) VALUES('crisismerge', 1999);
INSERT INTO names(names, rank) VALUES('hashsize', 67108864);
"""
_ROWS_AT_ONCE = 20_000
_COUNTED_TO = 1 << 63
PREFIXES_OF = 300_000
"""The words of so many of the first rows can be looked up by their beginnings; rarer ones are searched for."""

_INTO_MODELS = "INSERT INTO models VALUES(?,?,?,?,?,?,?,?,?,?,?)"
# One statement for many rows: SQLite works through them while Python makes the next ones.
_INTO_NAMES = "INSERT INTO names(rowid, words) SELECT ? + key, value FROM json_each(?)"


class IndexWriter:
    """Write one source's index; entries come in the order of their rank. Used as a context: an error leaves nothing.

    >>> from tempfile import mkdtemp
    >>> with IndexWriter(Path(mkdtemp()) / "hub.sqlite") as writer:
    ...     writer.add([ModelInfo("hub:a/tiny", "a/tiny", "hub", downloads=5)])
    >>> writer.count
    1
    """

    def __init__(self, path: Path, **meta: str) -> None:
        self.path = path
        self.count = 0
        self._meta = meta
        folder(path.parent)
        self._part = temporary(path)
        self._facts: dict[rows.Facts, tuple[int, int, str]] = {}
        self._tags: dict[tuple[str, ...], tuple[int, str]] = {}
        self._bases: dict[str, int] = {}
        self._facets: dict[str, int] = {}
        self._codes = array(CODES)
        self._words: dict[str, int] = {}

    def __enter__(self) -> IndexWriter:
        self._db = sqlite3.connect(self._part, isolation_level=None, check_same_thread=False)
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="modelnook-index")
        # Nothing to protect: a file that isn't finished is thrown away.
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32000;" + _TABLES)
        self._db.execute("BEGIN")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._await()
            if kind is None:
                self._finish()
        finally:
            self._beside.shutdown()
            self._db.close()
            if kind is not None or not self._done:
                self._part.unlink(missing_ok=True)

    _done = False
    _writing: Future[Any] | None = None

    def add(self, infos: Iterable[ModelInfo]) -> None:
        """Append entries."""
        # Rows make no cycles, and there are many: the collector would go through them again and again.
        collects = gc.isenabled()
        gc.disable()
        try:
            self._add(infos)
        finally:
            if collects:
                gc.enable()

    def _add(self, infos: Iterable[ModelInfo]) -> None:
        models: list[tuple[Any, ...]] = []
        names: list[str] = []
        for info in infos:
            self.count += 1
            models.append(self._row(info, names))
            if len(models) >= _ROWS_AT_ONCE:
                self._write(models, names)
        self._write(models, names)

    def _row(self, info: ModelInfo, names: list[str]) -> tuple[Any, ...]:
        facts, code, said = self._shared(info)
        tags, tagged = self._tagged(info)
        words = rows.name_tokens(info)
        if self.count <= PREFIXES_OF:
            for word in words.split(" "):
                if word not in self._words:
                    self._words[word] = self.count
        more = f"~{' ~'.join(name_words(info.summary)[:40])}" if info.summary else ""
        names.append(f"{words} {said} {tagged} {rows.size_tokens(info.parameters)} {more}")
        self._codes.append(code)
        relation = RELATIONS.index(info.relation) + 1 if info.relation in RELATIONS else None
        base = self._bases.setdefault(info.base_model, len(self._bases) + 1) if info.base_model else None
        return (
            self.count,
            info.id,
            *map(_storable, (info.downloads, info.likes, info.parameters)),
            rows.moment(info.updated),
            relation,
            rows.extra_of(info),
            facts,
            tags,
            base,
        )

    def _shared(self, info: ModelInfo) -> tuple[int, int, str]:
        facts = rows.facts_of(info)
        known = self._facts.get(facts)
        if known is None:
            tokens = rows.fact_tokens(facts)
            facet = json.dumps([t for t in tokens if t[1:2] == "="], ensure_ascii=False)
            code = self._facets.setdefault(facet, len(self._facets))
            known = self._facts[facts] = (len(self._facts) + 1, code, " ".join(tokens))
        return known

    def _tagged(self, info: ModelInfo) -> tuple[int, str]:
        tags = rows.spoken(info)
        known = self._tags.get(tags)
        if known is None:
            known = self._tags[tags] = (len(self._tags) + 1, " ".join(rows.tag_tokens(tags)))
        return known

    def _write(self, models: list[tuple[Any, ...]], names: list[str]) -> None:
        self._await()
        self._db.executemany(_INTO_MODELS, models)
        first = self.count - len(names) + 1
        self._writing = self._beside.submit(
            self._db.execute, _INTO_NAMES, (first, json.dumps(names, ensure_ascii=False))
        )
        models.clear()
        names.clear()

    def _await(self) -> None:
        """The connection is one's at a time; raises what went wrong beside."""
        if self._writing:
            writing, self._writing = self._writing, None
            writing.result()

    def _finish(self) -> None:
        db = self._db
        db.execute("INSERT INTO names(names) VALUES('optimize')")
        said = ((n, json.dumps(facts, ensure_ascii=False)) for facts, (n, _, _) in self._facts.items())
        db.executemany("INSERT INTO facts VALUES(?,?)", said)
        db.executemany("INSERT INTO tags VALUES(?,?)", ((n, "\n".join(tags)) for tags, (n, _) in self._tags.items()))
        db.executemany("INSERT INTO bases VALUES(?,?)", ((n, id) for id, n in self._bases.items()))
        db.executemany("INSERT INTO facets VALUES(?,?)", ((n, facet) for facet, n in self._facets.items()))
        db.executemany("INSERT INTO words VALUES(?,?)", sorted(self._words.items()))
        db.execute("INSERT INTO codes VALUES(0, ?)", (self._codes.tobytes(),))
        tokens = [json.loads(facet) for facet in self._facets]
        db.executemany("INSERT INTO broad VALUES(?,?)", list(broad_words(db, self._codes, tokens)))
        meta = {**self._meta, "count": str(self.count)}
        db.executemany("INSERT INTO meta VALUES(?,?)", meta.items())
        # The lists that are sorted otherwise and asked for without a word; most models have no likes.
        db.execute("CREATE INDEX models_likes ON models(likes DESC) WHERE likes > 0")
        db.execute("CREATE INDEX models_parameters ON models(parameters) WHERE parameters > 0")
        db.execute("CREATE INDEX models_updated ON models(updated DESC)")
        db.execute(f"PRAGMA user_version={SCHEMA}")
        db.execute("COMMIT")
        db.close()
        self._part.chmod(0o600)
        with self._part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self._part, self.path)
        self._done = True


def _storable(number: int | None) -> int | None:
    """A count; None for what is too long for a column, as only a lie is."""
    return number if number is None or 0 <= number < _COUNTED_TO else None
