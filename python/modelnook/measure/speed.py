"""How quick a loaded model is on the person's own texts: one at a time, and in batches. Tokenising is counted in."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelnook.runtime.base import Runtime

__all__ = ["Speed", "speed"]

BATCH = 32
MOST_SINGLE = 200
# Fewer rows than this are repeated, so that there are full batches to measure.
LEAST_ROWS = 8 * BATCH
MOST_ROWS = 2048
LEAST_PASSES = 3


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
    rows = _spaced(texts, MOST_ROWS)
    rows = (rows * -(-LEAST_ROWS // len(rows)))[:MOST_ROWS] if len(rows) < LEAST_ROWS else rows
    return Speed(
        p50_ms=1e3 * float(np.percentile(single, 50)),
        p95_ms=1e3 * float(np.percentile(single, 95)),
        rows_per_s=_batches(runtime, rows, seconds / 2, clock),
    )


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
