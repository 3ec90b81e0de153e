"""The one change feed: a long poll a client, one look at the index for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from modelnook.domain.errors import UsageError, unknown
from modelnook.server.opened import OpenedStore

__all__ = ["TOPICS", "Feed"]

T = TypeVar("T")

TOPICS = ("models", "runs", "sources")
LONGEST_WAIT = 25.0
LOOK_EVERY = 0.25
RECONCILE_EVERY = 1.0
# The poller outlives the last waiter a little: clients come back at once.
LINGER = 2.0

# A cursor is the index's generation above its change number; JavaScript's whole numbers have 53 bits.
_BITS = 32


class Watched(Protocol):
    """Who wants to know that somebody watches a topic."""

    def watched(self, topics: set[str]) -> None:
        """Somebody waits for changes of these topics now."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The arguments of ``events``."""

    topics: set[str]
    cursor: int | None
    wait: float

    @classmethod
    def read(cls, topics: list[str] | None = None, cursor: int | None = None, wait: float = 0.0) -> Wish:
        """Check the values.

        Raises:
            UsageError: a topic that isn't one, a cursor or a time below zero.
        """
        topics = list(TOPICS) if topics is None else topics
        for topic in topics:
            if topic not in TOPICS:
                raise unknown("topic", str(topic), TOPICS)
        if cursor is not None and cursor < 0:
            raise UsageError("server.bad_argument", name="cursor", value=cursor)
        if not wait >= 0:
            raise UsageError("server.bad_argument", name="wait", value=wait)
        return cls(set(topics), cursor, min(wait, LONGEST_WAIT))


class Feed:
    """Answers ``events``. While somebody waits one task looks at the index; it wakes all who wait."""

    def __init__(self, opened: OpenedStore, *watchers: Watched) -> None:
        self._opened = opened
        self._watchers = watchers
        # One thread, so that a busy pool never delays the poller and the index is opened once for it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="modelnook-feed")
        self._wake: asyncio.Future[None] | None = None
        self._poller: asyncio.Task[None] | None = None
        self._waiting = 0
        self._reconciled = 0.0
        self._error: BaseException | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many requests wait now."""
        return self._waiting

    @property
    def polling(self) -> bool:
        """Whether the poller runs."""
        return self._poller is not None and not self._poller.done()

    async def events(self, wish: Wish) -> dict[str, Any]:
        """``{cursor, changes}``: at once where something has changed since ``cursor``, else when it does."""
        if self._closed:
            return {"cursor": wish.cursor, "changes": []}
        for watcher in self._watchers:
            watcher.watched(wish.topics)
        ends = time.monotonic() + wish.wait
        cursor, changes = await self._on_thread(lambda: self._since(wish.cursor, wish.topics))
        if wish.cursor is not None and not changes and wish.wait:
            self._waiting += 1
            try:
                cursor, changes = await self._until(cursor, wish.topics, ends)
            finally:
                self._waiting -= 1
        return {"cursor": cursor, "changes": changes}

    async def close(self) -> None:
        """Let everybody who waits go, and stop looking."""
        self._closed = True
        if self._poller:
            self._poller.cancel()
            await asyncio.wait({self._poller})
        self._stir()
        # What is asked of the thread already is answered: a waiting client gets an end, not an error.
        self._thread.shutdown(wait=False)

    async def _until(self, cursor: int, topics: set[str], ends: float) -> tuple[int, list[dict[str, str]]]:
        changes: list[dict[str, str]] = []
        while not changes and not self._closed and (left := ends - time.monotonic()) > 0:
            wake = self._listen()
            cursor_now, changes = await self._on_thread(lambda at=cursor: self._since(at, topics))  # type: ignore[misc]
            cursor = cursor_now
            if not changes:
                await asyncio.wait({wake}, timeout=left)
            if self._error:
                raise self._error
        return cursor, changes

    def _since(self, cursor: int | None, topics: set[str]) -> tuple[int, list[dict[str, str]]]:
        index = self._opened().index
        base = self._opened.generation << _BITS
        if cursor is None:
            return base + index.cursor(), []
        if cursor >> _BITS != self._opened.generation:
            # Counted in another index, or before this server started: what happened meanwhile isn't known.
            return base + index.cursor(), [{"topic": topic, "id": "*"} for topic in sorted(topics)]
        newest, changed = index.changes(cursor - base, topics)
        return base + newest, [{"topic": topic, "id": id} for topic, id in changed]

    def _listen(self) -> asyncio.Future[None]:
        """What is done when something has changed; starts the poller where none runs."""
        if self._wake is None or self._wake.done():
            self._wake = asyncio.get_running_loop().create_future()
        if not self.polling:
            self._error = None
            self._poller = asyncio.ensure_future(self._poll())
        return self._wake

    def _stir(self) -> None:
        if self._wake and not self._wake.done():
            self._wake.set_result(None)

    async def _poll(self) -> None:
        seen: tuple[int, int] | None = None
        idle_since = time.monotonic()
        while True:
            try:
                now = await self._on_thread(self._look)
            except Exception as error:
                # Told to all who wait; the next who comes starts a new poller.
                self._error = error
                self._stir()
                return
            if now != seen:
                seen = now
                self._stir()
            if self._waiting:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > LINGER:
                return
            await asyncio.sleep(LOOK_EVERY)

    def _look(self) -> tuple[int, int]:
        store = self._opened()
        if time.monotonic() - self._reconciled >= RECONCILE_EVERY:
            # A worker that was killed can't say so.
            store.reconcile()
            self._reconciled = time.monotonic()
        return self._opened.generation, store.index.cursor()

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
