"""Speed against a clock of the test's own."""

from __future__ import annotations

from typing import Any

import pytest

from modelnook.measure.speed import in_turns, speed


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


class Shared:
    """A clock of which other work takes most, from one second to another."""

    def __init__(self, busy: tuple[float, float]) -> None:
        self.now, self.busy = 0.0, busy

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        first, last = self.busy
        self.now += seconds * (6 if first <= self.now < last else 1)


class Beside:
    """A runtime on a clock that others use as well."""

    def __init__(self, clock: Shared, call: float, row: float) -> None:
        self.clock, self.call, self.row = clock, call, row

    def outputs(self, rows: list[str], *, batch_size: int = 32, sort: bool = True) -> None:
        self.clock.pass_by(self.call * -(-len(rows) // batch_size) + self.row * len(rows))


@pytest.mark.parametrize("rows", [1, 40, 5000])
@pytest.mark.parametrize("busy", [(0.0, 3.0), (2.0, 6.0), (7.0, 9.0)])
def test_other_work_slows_all_that_take_turns(busy: tuple[float, float], rows: int) -> None:
    clock = Shared(busy)
    models: list[Any] = [Beside(clock, 1e-3, 1e-4), Beside(clock, 2e-3, 1.5e-4)]
    found = in_turns(models, ["a text"] * rows, seconds=8, clock=clock, rest=clock.pass_by)
    assert found[0].rows_per_s > 1.2 * found[1].rows_per_s
    assert found[0].p50_ms < 0.8 * found[1].p50_ms


def test_one_after_another_other_work_decides() -> None:
    clock = Shared((0.0, 1e9))
    models: list[Any] = [Beside(clock, 1e-3, 1e-4), Beside(clock, 2e-3, 1.5e-4)]
    quick = speed(models[0], ["a text"] * 40, seconds=4, clock=clock)
    clock.busy = (0.0, 0.0)
    assert quick.rows_per_s < speed(models[1], ["a text"] * 40, seconds=4, clock=clock).rows_per_s


def test_a_race_with_a_slow_model_ends() -> None:
    clock = Shared((0.0, 0.0))
    models: list[Any] = [Beside(clock, 1e-3, 1e-4), Beside(clock, 0.1, 0.05)]
    in_turns(models, ["a text"] * 5000, seconds=8, clock=clock, rest=clock.pass_by)
    # One batch of the slow one to see how slow it is, and one in each of two turns.
    assert clock.now < 4 * 32 * 0.05 + 8
