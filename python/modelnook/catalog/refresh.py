"""Reading a source's catalogue into the local index: resumed after a kill, and cheap once it is there.

From nothing, a hub's models are read page by page in the order of use. Later only the newest changes and the counts of
the most used are asked for and merged; after a month the whole list is gone through once more, a few pages a refresh
(``catalogue/.SOURCE.round.jsonl``), since what was deleted is in no list of changes. Every page is noted as it comes
(``catalogue/.SOURCE.pages.jsonl``), so that a refresh that was killed, or that the hub stopped, goes on where it was.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from heapq import merge
from pathlib import Path
from typing import Any

from modelnook.catalog.base import Source
from modelnook.catalog.hub_list import HubList, Listed
from modelnook.catalog.index import CatalogIndex
from modelnook.catalog.index_rows import by_rank, moment, rank_of
from modelnook.domain.errors import ConflictError, OfflineError
from modelnook.domain.model import ModelInfo
from modelnook.store.files import disk_errors, folder, write_bytes

__all__ = ["CALLS", "CALLS_FROM_NOTHING", "Outcome", "refresh"]

# A refresh asks for the most used, for what changed last, and goes on with its round: ten calls at most, of which two
# are left for colleagues' runs.
CALLS, CALLS_FROM_NOTHING = 10, 50
_TOP_PAGES, _NEW_PAGES, _ROUND_PAGES = 2, 4, 2
_WHOLE_AGAIN_AFTER = 30 * 86400
# A list so long that its rounds would take years is read anew as a whole.
_ROUND_AT_MOST = 100_000
_PAGE = 1000
_NOTED_FOR, _ROUND_FOR = 86400, 60 * 86400
# A list that has grown by so much is worth reading anew.
_MORE = 1.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """``models`` in the index now; ``read`` just now, with so many ``calls`` and seconds ``waited``.

    ``whole``: the list was read from its start.
    """

    models: int
    read: int
    calls: int = 0
    waited: int = 0
    resumed: bool = False
    whole: bool = False


def refresh(source: Source, index: CatalogIndex, limit: int, now: str) -> Outcome:
    """Bring a source's index up to date.

    Args:
        limit: the most used models to have; what is there beyond stays.
        now: the time to note.

    Raises:
        OfflineError: out of reach; what was read is kept for the next try.
        ConflictError: another process is at it.
        StoreError: no room for the index; the old one stands.
    """
    with _alone(index, source.name):
        if not hasattr(source, "pages"):
            found = source.listing(limit)
            index.write(source.name, by_rank(found), refreshed=now, limit=str(limit))
            return Outcome(len(found), len(found))
        return _Paged(source, index, limit, now).run()


@contextmanager
def _alone(index: CatalogIndex, name: str) -> Iterator[None]:
    """Only one process refreshes a source; the system frees the lock of one that was killed."""
    path = folder(index.folder) / f".{name}.lock"
    db = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        try:
            db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise ConflictError("catalog.refreshing", source=name) from error
        yield
    finally:
        db.close()


class _Paged:
    def __init__(self, source: Any, index: CatalogIndex, limit: int, now: str) -> None:
        self.name, self.index, self.now = source.name, index, now
        self.list: HubList = source.pages()
        self.meta = index.meta(self.name) if index.has(self.name) else {}
        self.known = int(self.meta.get("count", 0)) if self.meta.get("endpoint") == source.endpoint else 0
        self.limit = max(limit, self.known)
        self.endpoint: str = source.endpoint
        self.notes = Pages(index.folder / f".{self.name}.pages.jsonl", _NOTED_FOR)
        self.round = Pages(index.folder / f".{self.name}.round.jsonl", _ROUND_FOR)

    def run(self) -> Outcome:
        """Read, merge, write."""
        whole = self._whole()
        plan = {"endpoint": self.endpoint, "limit": self.limit, "whole": whole}
        resumed = self.notes.open(plan)
        if whole:
            self._read(self.notes, "downloads", self.limit)
        else:
            until = int(self.meta.get("newest") or 0)
            self._read(self.notes, "lastModified", _NEW_PAGES * _PAGE, pages=_NEW_PAGES, until=until)
            self._read(self.notes, "downloads", _TOP_PAGES * _PAGE, pages=_TOP_PAGES)
        read, newest = self.notes.size()
        meta = {
            "endpoint": self.endpoint,
            "refreshed": self.now,
            "newest": str(max(newest, int(self.meta.get("newest") or 0))),
            "whole": str(int(time.time())) if whole else self.meta.get("whole", "0"),
            "missed": "[]" if whole else self.meta.get("missed", "[]"),
            "limit": str(self.limit),
        }
        gone: set[str] = set()
        ended = not whole and self._old() and self._round_is_done()
        # A list in the order of use needs no sorting, and is never held as a whole.
        rows = self.notes.rows()
        if not whole:
            fresh = {i.id: i for i in rows}
            if ended:
                fresh = {i.id: i for i in self.round.rows()} | fresh
                gone, missed = self._gone(fresh)
                meta |= {"whole": str(int(time.time())), "missed": json.dumps(missed)}
            rows = self._merged(fresh, gone)
        models = self.index.write(self.name, _first(rows, self.limit), **meta)
        self.notes.close()
        if whole or ended:
            self.round.close()
        return Outcome(models, read, self.list.calls, self.list.waited, resumed, whole)

    def _whole(self) -> bool:
        """Whether the list is read from its start, not only what is new in it."""
        wanted = int(self.meta.get("limit", 0)) if self.known else 0
        return not self.known or self.limit > _MORE * wanted or (self._old() and self.limit > _ROUND_AT_MOST)

    def _old(self) -> bool:
        return time.time() - float(self.meta.get("whole", 0)) > _WHOLE_AGAIN_AFTER

    def _round_is_done(self) -> bool:
        """Go on with the round, some pages further; whether all of the list was seen in it by now."""
        self.round.open({"endpoint": self.endpoint, "limit": self.limit})
        try:
            self._read(self.round, "downloads", self.limit, pages=_ROUND_PAGES)
        except OfflineError:
            return False  # what is new has been read, and the round goes on next time
        _, got, done = self.round.at("downloads")
        return done or got >= self.limit

    def _gone(self, seen: dict[str, ModelInfo]) -> tuple[set[str], list[str]]:
        """``(what two rounds have missed, what this one has)``: between its parts a model may pass from one to another.

        What the index has learnt since a part was read stays; its counts are the part's.
        """
        before = set(json.loads(self.meta.get("missed", "[]")))
        missed = []
        for info in self.index.all(self.name):
            again = seen.get(info.id)
            if again is None:
                missed.append(info.id)
            elif (moment(info.updated) or 0) > (moment(again.updated) or 0):
                seen[info.id] = replace(info, downloads=again.downloads, likes=again.likes)
        return before.intersection(missed), [id for id in missed if id not in before]

    def _read(self, notes: Pages, sort: str, most: int, *, pages: int = 0, until: int = 0) -> None:
        start, got, done = notes.at(sort)
        if done or got >= most:
            return
        for number, page in enumerate(self._told(self.list.pages(sort, start, most - got)), 1):
            oldest = min((moment(i.updated) or 0 for i in page.items), default=0)
            ended = not page.next or (bool(until) and oldest <= until)
            notes.add(sort, page.items, "" if ended else page.next)
            if ended or number == pages:
                break

    def _told(self, pages: Iterator[Listed]) -> Iterator[Listed]:
        """Pages; where they end too early, the error says that what was read is kept."""
        try:
            yield from pages
        except OfflineError as error:
            read, _ = self.notes.size()
            if not read:
                raise
            values = {"source": self.name, "read": read, "limit": self.limit, "why": error.message}
            raise OfflineError("catalog.refresh_stopped", **values) from error

    def _merged(self, fresh: dict[str, ModelInfo], gone: set[str]) -> Iterator[ModelInfo]:
        """The old rows with the new ones in their places; neither is held as a whole."""
        kept = (info for info in self.index.all(self.name) if info.id not in fresh and info.id not in gone)
        yield from merge(kept, by_rank(fresh.values()), key=rank_of)


def _first(rows: Iterator[ModelInfo], limit: int) -> Iterator[ModelInfo]:
    for at, info in enumerate(rows):
        if at >= limit:
            return
        yield info


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _is_whole(line: bytes) -> bool:
    try:
        return bool(json.loads(line)) and line.endswith(b"\n")
    except ValueError:
        return False


class Pages:
    """What has been read of a list so far: a line a page, the plan in the first.

    Args:
        kept: seconds after their last page for which notes are good.
    """

    def __init__(self, path: Path, kept: float) -> None:
        self.path, self.kept = path, kept

    def open(self, plan: dict[str, Any]) -> bool:
        """Go on with notes of the same plan, unless they are old; else begin. Whether there was something."""
        head = next(self._lines(), {})
        if head.get("plan") == plan and time.time() - self.path.stat().st_mtime < self.kept:
            return self._mended() > 1
        write_bytes(self.path, _line({"plan": plan}))
        return False

    def _mended(self) -> int:
        """How many lines are whole; what follows them is cut off, since nothing is added to half a line."""
        count = end = 0
        with disk_errors(self.path), self.path.open("r+b") as file:
            for line in file:
                if not _is_whole(line):
                    file.truncate(end)
                    break
                count, end = count + 1, end + len(line)
        return count

    def add(self, sort: str, items: tuple[ModelInfo, ...], following: str) -> None:
        """Note a page."""
        rows = [{k: v for k, v in i.to_dict().items() if v not in (None, "", [], (), {}, False)} for i in items]
        with disk_errors(self.path), self.path.open("ab") as file:
            file.write(_line({"sort": sort, "next": following, "rows": rows}))

    def at(self, sort: str) -> tuple[str, int, bool]:
        """``(where to go on, entries so far, whether that is all)`` of a sort."""
        pages = [line for line in self._lines() if line.get("sort") == sort]
        if not pages:
            return "", 0, False
        return pages[-1]["next"], sum(len(p["rows"]) for p in pages), not pages[-1]["next"]

    def rows(self) -> Iterator[ModelInfo]:
        """Every entry once, in the order in which they were read."""
        seen: set[str] = set()
        for line in self._lines():
            for row in line.get("rows", ()):
                if row["id"] not in seen:
                    seen.add(row["id"])
                    yield ModelInfo.from_dict(row)

    def size(self) -> tuple[int, int]:
        """``(entries, the time of the newest change among them)``."""
        times = [moment(row.get("updated")) or 0 for line in self._lines() for row in line.get("rows", ())]
        return len(times), max(times, default=0)

    def close(self) -> None:
        """Forget the notes: the index has them."""
        self.path.unlink(missing_ok=True)

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Line by line; half of one, as a kill leaves it, ends them."""
        try:
            with self.path.open(encoding="utf-8") as file:
                for line in file:
                    yield json.loads(line)
        except (FileNotFoundError, ValueError):
            return
