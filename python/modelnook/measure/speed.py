"""How quick a loaded model is on the person's own texts: one at a time, and in batches. Tokenising is counted in."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelnook.runtime.base import Runtime

__all__ = ["Speed", "in_turns", "speed"]

BATCH = 32
MOST_SINGLE = 200
# Fewer rows than this are repeated, so that there are full batches to measure.
LEAST_ROWS = 8 * BATCH
MOST_ROWS = 2048
LEAST_PASSES = 3

TURNS, LEAST_TURNS = 5, 2
# Threads of a model that has just answered look for more work for a while before they sleep.
REST = 0.03


@dataclass(frozen=True, slots=True)
class Speed:
    """Milliseconds for one text (median and 95th percentile), rows a second at batch 32 sorted by length."""

    p50_ms: float
    p95_ms: float
    rows_per_s: float


def speed(
    runtime: Runtime, texts: Sequence[Any], *, seconds: float = 8.0, clock: Callable[[], float] = time.perf_counter
) -> Speed:
    """Warm medians within about ``seconds``: half for single texts, half for batches.

    Args:
        texts: at least one; evenly spaced ones are taken where there are many.
        clock: seconds that only grow; tests give their own.
    """
    single = _single(runtime, _spaced(texts, MOST_SINGLE), seconds / 2, clock)
    return _speed(single, _batches(runtime, _many(texts), seconds / 2, clock))


def in_turns(
    runtimes: Sequence[Runtime],
    texts: Sequence[Any],
    *,
    seconds: float = 8.0,
    clock: Callable[[], float] = time.perf_counter,
    rest: Callable[[float], None] = time.sleep,
) -> list[Speed]:
    """:func:`speed` of several models within about ``seconds`` for all, to tell which is quicker.

    They answer the same texts by turns of a part of a second, back and forth: what else the machine does meanwhile
    slows all of them, not the one that it met. What is told of each is its quietest turn: other work only slows.
    Models of which a batch takes longer than a turn's part have fewer turns.

    Args:
        rest: lets some seconds pass; tests give their own.
    """
    part = seconds / (2 * TURNS * len(runtimes))
    single, many = _spaced(texts, MOST_SINGLE), _many(texts)
    alone = max(_once(runtime, single[:1], clock, part) for runtime in runtimes)
    batch = max(_once(runtime, _spaced(many, BATCH), clock, part) for runtime in runtimes)
    # As many as the slowest answers in its part: all have the same texts.
    single = _spaced(single, max(LEAST_PASSES, int(part / alone)))
    many = _spaced(many, BATCH * max(1, int(part / batch)))
    count = max(LEAST_TURNS, min(TURNS, int(TURNS * part / batch)))
    turns: list[list[Speed]] = [[] for _ in runtimes]
    for turn in range(count):
        places = range(len(runtimes))
        for at in places if turn % 2 == 0 else reversed(places):
            rest(REST)
            took = _single(runtimes[at], single, seconds, clock)
            began = clock()
            runtimes[at].outputs(many, batch_size=BATCH)
            turns[at].append(_speed(took, len(many) / max(clock() - began, 1e-9)))
    return [_quietest(told) for told in turns]


def _quietest(turns: Sequence[Speed]) -> Speed:
    one = min(turns, key=lambda turn: turn.p50_ms)
    return Speed(one.p50_ms, one.p95_ms, max(turn.rows_per_s for turn in turns))


def _speed(single: list[float], rate: float) -> Speed:
    p50, p95 = (1e3 * float(np.percentile(single, share)) for share in (50, 95))
    return Speed(p50_ms=p50, p95_ms=p95, rows_per_s=rate)


def _once(runtime: Runtime, rows: list[Any], clock: Callable[[], float], most: float) -> float:
    """Seconds for some rows: warm, unless they took more than ``most`` already, beside which a first time is little."""
    took = most
    for _ in range(2):
        began = clock()
        runtime.outputs(rows, batch_size=BATCH)
        took = max(clock() - began, 1e-9)
        if took > most:
            break
    return took


def _many(texts: Sequence[Any]) -> list[Any]:
    rows = _spaced(texts, MOST_ROWS)
    return (rows * -(-LEAST_ROWS // len(rows)))[:MOST_ROWS] if len(rows) < LEAST_ROWS else rows


def _single(runtime: Runtime, texts: list[Any], seconds: float, clock: Callable[[], float]) -> list[float]:
    for text in texts[:3]:
        runtime.outputs([text], batch_size=1)
    took: list[float] = []
    end = clock() + seconds
    for text in texts:
        began = clock()
        runtime.outputs([text], batch_size=1)
        took.append(clock() - began)
        if clock() > end and len(took) >= LEAST_PASSES:
            break
    return took


def _batches(runtime: Runtime, rows: list[Any], seconds: float, clock: Callable[[], float]) -> float:
    began = clock()
    runtime.outputs(_spaced(rows, BATCH), batch_size=BATCH)
    rate = BATCH / max(clock() - began, 1e-9)
    # As many full batches as leave time for some passes; a large model gets one.
    rows = _spaced(rows, BATCH * max(1, int(rate * seconds / LEAST_PASSES / BATCH)))
    rates: list[float] = []
    end = clock() + seconds
    while len(rates) < LEAST_PASSES or (clock() < end and len(rates) < 20):
        began = clock()
        runtime.outputs(rows, batch_size=BATCH)
        rates.append(len(rows) / max(clock() - began, 1e-9))
        if clock() > end + seconds:
            break
    return float(np.median(rates))


def _spaced(texts: Sequence[Any], most: int) -> list[Any]:
    if len(texts) <= most:
        return list(texts)
    return [texts[int(i)] for i in np.linspace(0, len(texts) - 1, most)]
