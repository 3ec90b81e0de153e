"""Slots on a cluster with a real study: who tries what, when machines are lost, busy, or never there."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelnook.domain.errors import ConflictError, DataError, ModelnookError, StoreError, UsageError
from modelnook.domain.event import MetricLogged, Progress, event_to_dict
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.jobs import slots as room
from modelnook.jobs.slots import Call, Slot, Slots
from modelnook.tune.engine import Outcome, Pruned, search
from modelnook.tune.space import space_of
from modelnook.tune.study import Study

SPACE = space_of("learning_rate=1e-5..1e-3:log")


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LOOK_S", 0.005)


class There:
    """What answers on a machine: a trial takes three looks. ``dies`` names the one with which the machine is lost."""

    def __init__(self, dies: str = "", error: ModelnookError | None = None) -> None:
        self.dies, self.error = dies, error
        self.asked: list[str] = []
        self.looks = 0
        self.dead = False

    def __call__(self, method: str, *arguments: Any) -> Any:
        if self.dead:
            raise ConflictError("jobs.node_lost", address="ray://head:10001", error="its process ended")
        self.asked.append(method)
        answer: Callable[..., Any] | None = getattr(self, method, None)
        return answer(*arguments) if answer else None

    def begin_trial(self, name: str, knobs: Mapping[str, Any]) -> None:
        self.name, self.looks = name, 0

    def look_trial(self, events: int, logged: int) -> dict[str, Any]:
        self.looks += 1
        if self.name == self.dies and self.looks > 1:
            self.dead = True
            return self("look_trial")
        new = [event_to_dict(Progress("training", self.looks, 3)), None]
        new += [event_to_dict(MetricLogged(self.looks, {"eval_accuracy": 0.5}, epoch=self.looks))]
        end: dict[str, Any] | None = None
        if self.looks == 3 and self.error and self.name != "default":
            end = {"error": {**self.error.to_dict(), "kind": type(self.error).__name__}}
        elif self.looks == 3:
            end = {"done": {"metrics": {"accuracy": 0.7}, "knobs": {}, "seconds": 0.1, "stopped": False}}
        return {"events": new, "log": ("", 0), "end": end}

    def files(self, path: str) -> list[str]:
        return []


class Tries:
    """A study and its search, without anything that trains."""

    def __init__(self, folder: Path, most: int | None, until: float | None = None) -> None:
        self.study = Study(
            folder / "study.log", fingerprint="f", lower=[False], seed=0, trials=most, pruner="none", several=True
        )
        self.folder, self.most, self.until = folder, most, until
        self.now, self.together = 0, 0
        self.lock = threading.Lock()
        self.heard: list[Any] = []

    def search(self, most: int | None, at_once: int = 1, fit: Any = None, stop: Any = lambda: False) -> None:
        attempt = partial(self.attempt, fit)
        search(self.study, SPACE, attempt, metric="accuracy", defaults={}, trials=most, deadline=self.deadline,
               emit=lambda event: None, listed=lambda rows: None, stop=stop, at_once=at_once)  # fmt: skip

    def deadline(self) -> float:
        return math.inf if self.until is None else self.until

    def attempt(self, fit: Any, name: str, knobs: Any, report: Any, stop: Any) -> Outcome:
        with self.lock:
            self.now += 1
            self.together = max(self.together, self.now)
        try:
            out = self.folder / "trials" / name
            out.parent.mkdir(exist_ok=True)
            done = fit(name, knobs, out, partial(self.hear, name), stop, lambda metrics: True)
            assert out.is_dir(), "the model came"
            return Outcome((done.metrics["accuracy"],), done.metrics, done.knobs, done.seconds, done.stopped)
        finally:
            with self.lock:
                self.now -= 1

    def hear(self, name: str, event: Any) -> None:
        self.heard.append((name, event))

    @property
    def states(self) -> list[str]:
        return [row["state"] for row in self.study.told()]


def slots(folder: Path, *machines: list[There | None], stop: Callable[[], bool] = lambda: False) -> Slots:
    """A slot for each list: the machines that it gets one after another; None is no room, then or ever."""
    base = folder / "base"
    base.mkdir(exist_ok=True)
    (base / "config.json").write_text("{}")
    run = SimpleNamespace(snapshots=lambda: (), split=dict)
    context: Any = SimpleNamespace(
        recipe=Recipe("tune", "x", on="ray://head:10001"),
        run=run,
        stop=stop,
        phase=lambda name: None,
        fetch=lambda ref: base,
        recorder=SimpleNamespace(record=RunRecord("r1", "t", "tune", "running")),
    )

    def start(left: list[There | None], stop: Callable[[], bool], phase: Callable[[str], None]) -> Call | None:
        machine = left.pop(0) if left else None
        while machine is None and not stop():
            time.sleep(0.005)
        if machine and machine.dead:
            machine("told")
        return machine

    return Slots(context, [Slot(context, partial(start, list(left))) for left in machines])


def test_all_slots_try_until_there_are_enough(tmp_path: Path) -> None:
    machines = [There() for _ in range(4)]
    tries = Tries(tmp_path, 13)
    slots(tmp_path, *[[machine] for machine in machines]).search(tries)  # type: ignore[arg-type]
    assert tries.states == ["finished"] * 13
    assert len({row["number"] for row in tries.study.told()}) == 13
    assert tries.together > 1
    for machine in machines:
        assert machine.asked.count("write") == machine.asked.count("create") == 1, "files go there once"
        assert machine.asked[-1] == "close"
    values = [event for name, event in tries.heard if name == "default" and isinstance(event, MetricLogged)]
    assert [event.step for event in values] == [1, 2, 3]


def test_a_lost_machine_is_a_failed_trial_and_another_takes_its_place(tmp_path: Path) -> None:
    tries = Tries(tmp_path, 6)
    slots(tmp_path, [There(dies="2"), There(dies="4"), There()]).search(tries)  # type: ignore[arg-type]
    assert tries.states.count("failed") == 2
    assert tries.states.count("finished") == 4
    assert all("is lost" in row["error"] for row in tries.study.told() if row["state"] == "failed")


def test_the_default_configuration_is_tried_again_where_its_machine_is_lost(tmp_path: Path) -> None:
    tries = Tries(tmp_path, 3)
    slots(tmp_path, [There(dies="default"), There()]).search(tries)  # type: ignore[arg-type]
    assert tries.states == ["finished"] * 3


def test_a_cluster_that_is_lost_ends_it(tmp_path: Path) -> None:
    gone = There()
    gone.dead = True
    with pytest.raises(ConflictError, match="is lost"):
        slots(tmp_path, [gone] * 9, [gone] * 9).search(Tries(tmp_path, 3))  # type: ignore[arg-type]


def test_a_slot_without_room_keeps_nobody_waiting(tmp_path: Path) -> None:
    tries = Tries(tmp_path, 4)
    slots(tmp_path, [There()], [None]).search(tries)  # type: ignore[arg-type]
    assert tries.states == ["finished"] * 4


def test_no_room_within_the_budget_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="had room"):
        slots(tmp_path, [None]).search(Tries(tmp_path, None, time.monotonic() + 0.05))  # type: ignore[arg-type]


def test_a_stop_while_it_waits_for_room_is_no_error(tmp_path: Path) -> None:
    began = time.monotonic()
    tries = Tries(tmp_path, 4)
    slots(tmp_path, [None], [None], stop=lambda: time.monotonic() > began + 0.05).search(tries)  # type: ignore[arg-type]
    assert tries.study.default is None


def test_what_fails_there_is_a_failed_trial_and_a_full_disk_there_is_no_other(tmp_path: Path) -> None:
    full = StoreError("store.disk_full", path="/tmp/there", free="0 B")
    tries = Tries(tmp_path, 4)
    with pytest.raises(ModelnookError) as caught:
        slots(tmp_path, [There(error=full)]).search(tries)  # type: ignore[arg-type]
    assert not isinstance(caught.value, StoreError), "three in a row, and the cause is told"
    assert tries.states == ["finished", "failed", "failed", "failed"]


def test_a_trial_that_is_ended_early_is_given_up_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hopeless(name: str, event: Any) -> None:
        if name != "default" and isinstance(event, MetricLogged):
            raise Pruned

    machine, tries = There(), Tries(tmp_path, 3)
    monkeypatch.setattr(tries, "hear", hopeless)
    slots(tmp_path, [machine]).search(tries)  # type: ignore[arg-type]
    assert tries.states == ["finished", "pruned", "pruned"]
    assert machine.asked.count("give_up") == 2


def test_a_default_configuration_that_fails_ends_all_slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str, event: Any) -> None:
        raise DataError("data.too_few", rows=1)

    tries = Tries(tmp_path, 5)
    monkeypatch.setattr(tries, "hear", fails)
    with pytest.raises(DataError):
        slots(tmp_path, [There()], [There()]).search(tries)  # type: ignore[arg-type]
    assert tries.states == []
