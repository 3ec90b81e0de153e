"""Requests that wait are computed together, and fail apart."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from modelnook.domain.errors import ConflictError
from modelnook.serve import batches
from modelnook.serve.batches import Batches


class Model:
    """Answers with each row's own text; held up until told, so that requests pile up behind the first."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.free = threading.Event()

    def __call__(self, rows: list[str], **options: Any) -> list[dict[str, Any]]:
        self.calls.append(list(rows))
        self.free.wait(30)
        if "bad" in rows:
            raise ValueError("bad")
        return [{"text": row, **options} for row in rows]


async def piled(model: Model, *asked: tuple[list[str], dict[str, Any]]) -> list[Any]:
    served = Batches(model)
    first = asyncio.ensure_future(served.ask(["first"], {}))
    while not model.calls:
        await asyncio.sleep(0.001)
    others = [asyncio.ensure_future(served.ask(rows, options)) for rows, options in asked]
    await asyncio.sleep(0)
    model.free.set()
    return (await asyncio.gather(first, *others, return_exceptions=True))[1:]


def test_what_waits_is_computed_together_and_given_back_apart() -> None:
    model = Model()
    found = asyncio.run(piled(model, (["a", "b"], {}), (["c"], {}), (["d"], {"n": 1}), (["e"], {})))
    assert [[row["text"] for row in answers] for answers in found] == [["a", "b"], ["c"], ["d"], ["e"]]
    assert model.calls == [["first"], ["a", "b", "c", "e"], ["d"]]


def test_one_that_fails_fails_alone() -> None:
    model = Model()
    found = asyncio.run(piled(model, (["a"], {}), (["bad"], {}), (["c"], {})))
    assert found[0] == [{"text": "a"}]
    assert isinstance(found[1], ValueError)
    assert found[2] == [{"text": "c"}]


def test_a_batch_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "ROWS", 3)
    model = Model()
    asyncio.run(piled(model, (["a", "b"], {}), (["c", "d"], {}), (["e"], {})))
    assert model.calls == [["first"], ["a", "b", "e"], ["c", "d"]]


def test_too_many_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "WAITING", 4)
    model = Model()
    found = asyncio.run(piled(model, (["a", "b"], {}), (["c", "d"], {}), (["e"], {}), (["f"], {})))
    assert [isinstance(answer, ConflictError) for answer in found] == [False, False, True, True]
    assert [[r["text"] for r in answers] for answers in found[:2]] == [["a", "b"], ["c", "d"]]


def test_who_went_away_is_not_computed() -> None:
    async def left() -> list[list[str]]:
        model = Model()
        served = Batches(model)
        first = asyncio.ensure_future(served.ask(["first"], {}))
        while not model.calls:
            await asyncio.sleep(0.001)
        gone = asyncio.ensure_future(served.ask(["gone"], {}))
        stays = asyncio.ensure_future(served.ask(["stays"], {}))
        await asyncio.sleep(0)
        gone.cancel()
        model.free.set()
        await asyncio.gather(first, stays)
        return model.calls

    assert asyncio.run(left()) == [["first"], ["stays"]]
