"""The index: SQLite over the run folders and the catalogue. Derived; delete it and it is made anew."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelnook.domain.model import ModelInfo
from modelnook.domain.run import LIVE, MOVES, RunRecord
from modelnook.store.files import folder

__all__ = ["Index", "on_network"]

_SCHEMA = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS runs(
  id TEXT PRIMARY KEY, name TEXT, kind TEXT, state TEXT, model TEXT, base TEXT, created TEXT, identity TEXT,
  origin TEXT, record TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS runs_created ON runs(created DESC);
CREATE INDEX IF NOT EXISTS runs_name ON runs(name, created DESC);
CREATE INDEX IF NOT EXISTS runs_state ON runs(state);
CREATE INDEX IF NOT EXISTS runs_identity ON runs(identity);
CREATE TABLE IF NOT EXISTS models(
  ref TEXT PRIMARY KEY, source TEXT, env TEXT, info TEXT NOT NULL, hay TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS models_source ON models(source, env);
CREATE TABLE IF NOT EXISTS changes(seq INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT, id TEXT);
"""

# WAL keeps its shared memory in a mapped file, which network file systems don't share between machines.
_NETWORK = ("nfs", "cifs", "smb", "fuse.sshfs", "9p", "ceph", "lustre", "glusterfs", "afs")
_KEPT_CHANGES = 5000


_MOVES = ",".join(f"'{kind}'" for kind in MOVES)
_SHOWN = f"NOT (kind IN ({_MOVES}) AND state='finished')"


class Index:
    """Opened by any number of processes and threads; one connection a thread.

    Writes that fail because the file is locked or gone raise :class:`sqlite3.Error`: the folders hold the truth, so
    callers that can go on do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    @contextmanager
    def _db(self) -> Iterator[sqlite3.Connection]:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None or self._inode() != self._local.inode:
            if db is not None:
                db.close()
            db = self._open()
            self._local.db, self._local.inode = db, self._inode()
        with db:
            yield db

    def _inode(self) -> int | None:
        """Which file the path names now: a connection to a deleted one would write where nobody reads."""
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return None

    def _open(self) -> sqlite3.Connection:
        folder(self.path.parent)
        db = sqlite3.connect(self.path, timeout=10, isolation_level="IMMEDIATE", check_same_thread=False)
        db.row_factory = sqlite3.Row
        db.execute(f"PRAGMA journal_mode={'DELETE' if on_network(self.path) else 'WAL'}")
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(_TABLES)
        if db.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA:
            # A write: who opens a store doesn't wait for one who writes.
            db.execute(f"PRAGMA user_version={_SCHEMA}")
        self.path.chmod(0o600)
        return db

    def put_runs(self, records: Iterable[RunRecord]) -> None:
        """Insert or replace runs."""
        rows = [
            (r.id, r.name, r.kind, r.state, r.model, r.base, r.created, r.identity, r.origin, json.dumps(r.to_dict()))
            for r in records
        ]
        with self._db() as db:
            db.executemany("INSERT OR REPLACE INTO runs VALUES(?,?,?,?,?,?,?,?,?,?)", rows)
            self._changed(db, "runs", (r[0] for r in rows))

    def drop_run(self, run: str) -> None:
        """Forget a run."""
        with self._db() as db:
            db.execute("DELETE FROM runs WHERE id=?", (run,))
            self._changed(db, "runs", (run,))

    def runs(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        model: str | None = None,
        query: str | None = None,
        identity: str | None = None,
        shown: bool = False,
        limit: int = 100,
    ) -> list[RunRecord]:
        """Runs, newest first, as they were last written; ``shown``: without those that moved a model and are done."""
        where, values = _runs_where(shown, model, query, state=state, kind=kind, identity=identity)
        sql = f"SELECT record FROM runs WHERE {where} ORDER BY created DESC, id LIMIT ?"
        with self._db() as db:
            rows = db.execute(sql, (*values, limit)).fetchall()
        return [RunRecord.from_dict(json.loads(r["record"])) for r in rows]

    def find_runs(self, text: str) -> list[tuple[str, str]]:
        """``(id, name)`` of the runs that ``text`` may mean: an id, a name, else a prefix; own ones, newest first."""
        with self._db() as db:
            for where, value in (("id=?", text), ("name=?", text), (f"id {_LIKE}", f"{_plain(text)}%")):
                sql = f"SELECT id, name FROM runs WHERE {where} ORDER BY origin<>'local', created DESC LIMIT 20"
                rows = db.execute(sql, (value,)).fetchall()
                if rows:
                    return [(r["id"], r["name"]) for r in rows]
        return []

    def named(self, name: str) -> list[RunRecord]:
        """The runs of a name; own ones, newest first."""
        with self._db() as db:
            sql = "SELECT record FROM runs WHERE name=? ORDER BY origin<>'local', created DESC"
            rows = db.execute(sql, (name,)).fetchall()
        return [RunRecord.from_dict(json.loads(r["record"])) for r in rows]

    def names(self, limit: int = 200, *, own: bool = False) -> list[tuple[str, str]]:
        """``(id, name)`` of the newest runs, for completion and near misses; ``own``: of what was made here."""
        where = f"WHERE origin='local' AND kind NOT IN ({_MOVES})" if own else ""
        with self._db() as db:
            rows = db.execute(f"SELECT id, name FROM runs {where} ORDER BY created DESC LIMIT ?", (limit,)).fetchall()
        return [(r["id"], r["name"]) for r in rows]

    def live(self) -> list[RunRecord]:
        """Runs written as queued or running."""
        with self._db() as db:
            rows = db.execute("SELECT record FROM runs WHERE state IN (?,?) AND origin='local' ORDER BY created", LIVE)
            return [RunRecord.from_dict(json.loads(r["record"])) for r in rows.fetchall()]

    def count(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        model: str | None = None,
        query: str | None = None,
        shown: bool = False,
    ) -> int:
        """How many runs :meth:`runs` would list without a limit."""
        where, values = _runs_where(shown, model, query, state=state, kind=kind)
        with self._db() as db:
            return int(db.execute(f"SELECT count(*) FROM runs WHERE {where}", values).fetchone()[0])

    def put_models(self, source: str, infos: Iterable[ModelInfo], *, env: str = "", replace: bool = False) -> None:
        """Keep a source's entries; ``replace`` forgets its others of the same environment."""
        rows = [(i.ref, source, env, json.dumps(i.to_dict()), _hay(i)) for i in infos]
        with self._db() as db:
            if replace:
                kept = db.execute("SELECT ref, info FROM models WHERE source=? AND env=?", (source, env)).fetchall()
                if {r["ref"]: r["info"] for r in kept} == {r[0]: r[3] for r in rows}:
                    return
                db.execute("DELETE FROM models WHERE source=? AND env=?", (source, env))
            db.executemany("INSERT OR REPLACE INTO models VALUES(?,?,?,?,?)", rows)
            self._changed(db, "models", (r[0] for r in rows) if rows else (source,))

    def drop_model(self, ref: str) -> None:
        """Forget an entry."""
        with self._db() as db:
            db.execute("DELETE FROM models WHERE ref=?", (ref,))
            self._changed(db, "models", (ref,))

    def models(self, *, source: str | None = None, text: str = "", limit: int = 1000) -> list[ModelInfo]:
        """Entries whose text holds every word of ``text``."""
        where, values = ["1"], []
        if source:
            where.append("source=?")
            values.append(source)
        for word in text.lower().split():
            where.append(f"hay {_LIKE}")
            values.append(f"%{_plain(word)}%")
        sql = f"SELECT info FROM models WHERE {' AND '.join(where)} ORDER BY ref LIMIT ?"
        with self._db() as db:
            rows = db.execute(sql, (*values, limit)).fetchall()
        return [ModelInfo.from_dict(json.loads(r["info"])) for r in rows]

    def counts(self) -> dict[str, int]:
        """Source -> entries known here."""
        with self._db() as db:
            rows = db.execute("SELECT source, count(*) AS n FROM models GROUP BY source").fetchall()
        return {r["source"]: r["n"] for r in rows}

    def touch(self, topic: str, id: str) -> None:
        """Tell the listeners of a topic that something changed that isn't a row."""
        with self._db() as db:
            self._changed(db, topic, (id,))

    def cursor(self) -> int:
        """The number of the newest change."""
        with self._db() as db:
            return int(db.execute("SELECT coalesce(max(seq),0) FROM changes").fetchone()[0])

    def changes(self, cursor: int, topics: Iterable[str] = ()) -> tuple[int, list[tuple[str, str]]]:
        """``(new cursor, [(topic, id)])`` after ``cursor``, each once. A cursor of another index starts anew."""
        wanted = set(topics)
        with self._db() as db:
            newest = int(db.execute("SELECT coalesce(max(seq),0) FROM changes").fetchone()[0])
            if cursor > newest:
                return newest, [(topic, "*") for topic in sorted(wanted or {"runs", "models", "sources"})]
            rows = db.execute("SELECT DISTINCT topic, id FROM changes WHERE seq>? AND seq<=?", (cursor, newest))
            return newest, [(r["topic"], r["id"]) for r in rows.fetchall() if not wanted or r["topic"] in wanted]

    def _changed(self, db: sqlite3.Connection, topic: str, ids: Iterable[str]) -> None:
        last = 0
        for id in ids:
            last = db.execute("INSERT INTO changes(topic, id) VALUES(?,?)", (topic, id)).lastrowid or 0
        if last and last % 500 == 0:
            db.execute("DELETE FROM changes WHERE seq<?", (last - _KEPT_CHANGES,))


_LIKE = "LIKE ? ESCAPE '\\'"


def _runs_where(shown: bool, model: str | None, query: str | None, **exact: str | None) -> tuple[str, list[str]]:
    """What narrows a list of runs down, as SQL and its values."""
    where, values = [_SHOWN if shown else "1"], []
    for column, value in exact.items():
        if value:
            where.append(f"{column}=?")
            values.append(value)
    if model:
        # A name alone is one of this machine's models, as it is for every verb.
        refs = (model,) if ":" in model else (model, f"local:{model}")
        either = [f"{column}{how}" for column in ("model", "base") for _ in refs for how in ("=?", f" {_LIKE}")]
        where.append(f"({' OR '.join(either)})")
        values += [part for ref in refs for part in (ref, f"{_plain(ref)}@%")] * 2
    if query:
        where.append("(" + " OR ".join(f"{column} {_LIKE}" for column in ("name", "id", "model", "base")) + ")")
        values += [f"%{_plain(query)}%"] * 4
    return " AND ".join(where), values


def _plain(text: str) -> str:
    """A text as a part of a pattern, where it means itself: names hold ``_``, which would match any letter."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _hay(info: ModelInfo) -> str:
    parts = (info.ref, info.name, info.summary, info.task, info.architecture, info.license, *info.tags, *info.language)
    return " ".join(p for p in parts if p).lower()


def on_network(path: Path) -> bool:
    """Whether a path lies on a network file system (Linux tells; elsewhere it is taken for local)."""
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return False
    best, kind = "", ""
    text = str(path.resolve())
    for line in mounts:
        _, point, fs, *_ = [*line.split(), "", "", ""]
        if (text == point or text.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, fs
    return kind.startswith(_NETWORK)
