"""Requests that wait together are answered together: a model is quicker with many rows than with one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from modelnook.domain.errors import ConflictError

__all__ = ["Batches"]

ROWS = 256
"""Rows that are computed at once, of several requests; a longer request is computed alone."""
WAITING = 4096
"""Rows that may wait; a request that comes on top is told to come again."""

Answers = list[dict[str, Any]]


@dataclass(eq=False)
class _Asked:
    rows: Sequence[Any]
    options: dict[str, Any]
    answer: asyncio.Future[Answers] = field(repr=False)

    def goes_with(self, other: _Asked) -> bool:
        """Whether both can be computed at once: rows are read by the roles of the first."""
        return self.options == other.options and self._form() == other._form()

    def _form(self) -> set[Any]:
        return {frozenset(row) if isinstance(row, Mapping) else type(row) for row in self.rows}


class Batches:
    """One thread computes; what comes meanwhile waits and is then put together.

    Args:
        predict: gives one answer a row; called with the rows, and a request's options by name.
    """

    def __init__(self, predict: Callable[..., Answers]) -> None:
        self._predict = predict
        self._waiting: list[_Asked] = []
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "predict")

    async def ask(self, rows: Sequence[Any], options: dict[str, Any]) -> Answers:
        """The answers to one request's rows.

        Raises:
            ConflictError: too many wait (``serve.busy``).
            Exception: what ``predict`` raises for these rows.
        """
        waiting = sum(len(asked.rows) for asked in self._waiting)
        if waiting and waiting + len(rows) > WAITING:
            raise ConflictError("serve.busy", waiting=waiting)
        asked = _Asked(rows, options, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.ensure_future(self._work())
        return await asked.answer

    async def alone(self, call: Callable[[], Any]) -> Any:
        """What a call gives in the thread that computes, once its turn has come."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def _work(self) -> None:
        while together := self._next():
            try:
                await self._answer(together)
            except Exception as error:
                if len(together) == 1:
                    _fail(together[0], error)
                    continue
                # One of them is the reason, and the others must not pay for it.
                for asked in together:
                    try:
                        await self._answer([asked])
                    except Exception as own:
                        _fail(asked, own)

    def _next(self) -> list[_Asked]:
        """The first that waits, and those behind it that can be computed with it; who went away is left out."""
        self._waiting = [asked for asked in self._waiting if not asked.answer.done()]
        taken: list[_Asked] = []
        count = 0
        for asked in self._waiting:
            if taken and (not asked.goes_with(taken[0]) or count + len(asked.rows) > ROWS):
                continue
            taken.append(asked)
            count += len(asked.rows)
        self._waiting = [asked for asked in self._waiting if asked not in taken]
        return taken

    async def _answer(self, together: Sequence[_Asked]) -> None:
        rows = [row for asked in together for row in asked.rows]
        found = await self.alone(partial(self._predict, rows, **together[0].options))
        start = 0
        for asked in together:
            if not asked.answer.done():
                asked.answer.set_result(found[start : start + len(asked.rows)])
            start += len(asked.rows)


def _fail(asked: _Asked, error: Exception) -> None:
    if not asked.answer.done():
        asked.answer.set_exception(error)
