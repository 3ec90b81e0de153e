"""From a method's name to its answer: on a thread, in a child, or from the feed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from modelnook.domain.errors import NotFoundError, StoreError, unknown
from modelnook.rpc import METHODS
from modelnook.server.arguments import checked
from modelnook.server.ask import Question, call
from modelnook.server.catalogue import Catalogue
from modelnook.server.children import Children
from modelnook.server.feed import Feed, Wish
from modelnook.server.opened import OpenedStore

__all__ = ["Answers"]

T = TypeVar("T")

_QUESTIONS = 4
# Waiting clients are let go at the server's end; this is how long their last answers may take to be written.
_LAST_ANSWERS = 2.0


class Answers:
    """What the handler is handed."""

    def __init__(
        self, opened: OpenedStore, children: Children, feed: Feed, *, threads: int = 4, ask_seconds: float = 8.0
    ) -> None:
        self._opened, self._children, self._feed = opened, children, feed
        self._ask_seconds = ask_seconds
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="modelnook")
        # Threads of their own: those that wait for a network must not hold up those that read the disk.
        self._askers = ThreadPoolExecutor(_QUESTIONS, thread_name_prefix="modelnook-ask")
        catalogue = Catalogue(opened, self._here, self._ask)
        self._waiting: set[asyncio.Task[Any]] = set()
        self._far = {"search": catalogue.search, "info": catalogue.info, "compare": catalogue.compare}

    def action(self, method: str, params: dict[str, Any]) -> str:
        """What an authorizer is asked for: ``read``, ``write`` or ``execute``.

        Raises:
            NotFoundError: no such method.
        """
        if method == "events":
            return "read"
        if method not in METHODS:
            raise unknown("method_rpc", method, [*METHODS, "events"], NotFoundError)
        # Settings without a value are shown, not changed.
        return "read" if method == "settings" and not params else METHODS[method].action

    async def answer(self, method: str, params: dict[str, Any]) -> str:
        """The method's result, written as JSON.

        Raises:
            ModelnookError: as the method says; StoreError where the person's folder can't be used.
        """
        try:
            if method == "events":
                self._held()
                result = await self._feed.events(Wish.read(**checked(Wish.read, params)))
            elif method in self._far:
                result = await self._far[method](params)
            else:
                result = await self._here(lambda given: call(method, given), params)
        except (OSError, sqlite3.Error) as error:
            raise StoreError("server.store", error=error) from error
        # A long list takes long to write as well.
        return await self._on_thread(lambda: json.dumps(result, ensure_ascii=False, allow_nan=False))

    async def close(self) -> None:
        """End the children that still answer, and the threads. The feed is closed by now."""
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=_LAST_ANSWERS)
        await asyncio.to_thread(self._children.close)
        for pool in (self._threads, self._askers):
            pool.shutdown(wait=False, cancel_futures=True)

    def _held(self) -> None:
        if task := asyncio.current_task():
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _here(self, function: Callable[[dict[str, Any]], Any], params: dict[str, Any]) -> Any:
        def work() -> Any:
            self._opened()
            return function(params)

        return await self._on_thread(work)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        question = Question(self._opened, self._children, method, params, self._ask_seconds)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._askers, question)
        except asyncio.CancelledError:
            question.cancel()
            raise
