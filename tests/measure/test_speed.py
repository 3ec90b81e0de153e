"""Speed against a clock of the test's own."""

from __future__ import annotations

from typing import Any

import pytest

from modelnook.measure.speed import speed


class Clocked:
    """A runtime that takes a millisecond a call and a tenth of one a row, on its own clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[int, Any]] = []

    def outputs(self, rows: list[str], *, batch_size: int = 32, sort: bool = True) -> None:
        self.calls.append((len(rows), batch_size))
        self.now += 1e-3 * -(-len(rows) // batch_size) + 1e-4 * len(rows)

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize("rows", [1, 40, 5000])
def test_medians_are_the_clocks(rows: int) -> None:
    model: Any = Clocked()
    found = speed(model, ["a text"] * rows, seconds=2, clock=model.clock)
    assert found.p50_ms == pytest.approx(1.1)
    assert found.p95_ms == pytest.approx(1.1)
    assert found.rows_per_s == pytest.approx(32 / 4.2e-3, rel=0.01)
    assert model.now < 8


def test_a_slow_model_does_not_take_for_ever() -> None:
    model: Any = Clocked()
    plain = model.outputs

    def slow(rows: list[str], *, batch_size: int = 32, sort: bool = True) -> None:
        plain(rows, batch_size=batch_size)
        model.now += 0.1 * len(rows)

    model.outputs = slow
    speed(model, ["a text"] * 5000, seconds=4, clock=model.clock)
    # One batch to see how slow it is, and three passes of one batch, are what there must be.
    assert model.now < 2 + 6 * 32 * 0.11
