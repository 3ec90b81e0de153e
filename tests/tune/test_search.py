"""The search itself, on functions whose best is known; trials are real calls, the study is a real journal on disk."""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from modelnook.domain.errors import ConflictError, DataError, StoreError, UnsupportedError, UsageError
from modelnook.domain.event import Event, MetricLogged, Progress, Warned
from modelnook.tune import journal
from modelnook.tune.engine import Outcome, search
from modelnook.tune.space import space_of
from modelnook.tune.study import Study

SPACE = space_of("learning_rate=1e-5..1e-2:log weight_decay=0..0.1")


class Ground:
    """Where the best learning rate is 1e-3; counts what it was asked."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.asked: list[str] = []
        self.begun: list[float] = []
        self.events: list[Event] = []
        self.seconds = seconds

    def value(self, knobs: Mapping[str, Any]) -> float:
        return 1 - abs(math.log10(knobs.get("learning_rate", 1e-5)) + 3) / 5

    def attempt(
        self, name: str, knobs: Mapping[str, Any], report: Callable[[int, float], None], stop: Callable[[], bool]
    ) -> Outcome:
        self.asked.append(name)
        self.begun.append(time.monotonic())
        end = time.monotonic() + self.seconds
        while time.monotonic() < end and not stop():
            time.sleep(0.005)
        for epoch in (1, 2, 3, 4):
            report(epoch, self.value(knobs) * epoch / 4)
        return Outcome((self.value(knobs),), {}, dict(knobs), stopped=self.seconds > 0 and stop())

    def run(self, study: Study, **more: Any) -> None:
        given: dict[str, Any] = {"trials": 13, "deadline": lambda: math.inf, "stop": lambda: False, **more}
        search(
            study,
            given.pop("space", SPACE),
            given.pop("attempt", self.attempt),
            metric="accuracy",
            defaults=given.pop("defaults", {"learning_rate": 1e-5, "weight_decay": 0.0}),
            emit=self.events.append,
            listed=lambda rows: None,
            **given,
        )


def study(tmp_path: Path, **more: Any) -> Study:
    given: dict[str, Any] = {"fingerprint": "f", "lower": [False], "seed": 0, "trials": 12, "pruner": "none", **more}
    return Study(tmp_path / "study.log", **given)


def test_it_comes_near_the_best_and_keeps_it(tmp_path: Path) -> None:
    ground, held = Ground(), study(tmp_path)
    ground.run(held, trials=26)
    assert len(ground.asked) == 26
    assert ground.asked[0] == "default"
    rows = held.told()
    best = max(rows, key=lambda row: row["value"])
    assert best["value"] > 0.9
    assert held.front() == [best["number"]]
    assert rows[0]["number"] == "default"
    assert len(rows) == 26
    points = [e for e in ground.events if isinstance(e, MetricLogged)]
    bests = [e.values["best_accuracy"] for e in points]
    assert bests == sorted(bests)
    assert held.importances()["learning_rate"] > 0.5


def test_the_same_seed_tries_the_same(tmp_path: Path) -> None:
    rows = []
    for name in ("a", "b"):
        held = study(tmp_path / name)
        Ground().run(held)
        rows.append([trial.params for trial in held.trials])
    assert rows[0] == rows[1]


def test_a_study_is_gone_on_with_where_the_process_died(tmp_path: Path) -> None:
    ground = Ground()
    held = study(tmp_path)

    def dies(name: str, *rest: Any) -> Outcome:
        if name == "3":
            raise KeyboardInterrupt
        return ground.attempt(name, *rest)

    with pytest.raises(KeyboardInterrupt):
        ground.run(held, attempt=dies)
    again = study(tmp_path)
    # The trial that the death interrupted is over; those before it count.
    assert [t.state.name for t in again.trials].count("FAIL") == 1
    ground.run(again)
    assert len(again.done) >= 11
    assert ground.asked.count("default") == 1


@pytest.mark.parametrize(
    ("pruner", "kind"),
    [
        ("auto", optuna.pruners.SuccessiveHalvingPruner),
        ("asha", optuna.pruners.SuccessiveHalvingPruner),
        ("hyperband", optuna.pruners.HyperbandPruner),
        ("median", optuna.pruners.MedianPruner),
    ],
)
def test_trials_without_hope_end_early(tmp_path: Path, pruner: str, kind: type) -> None:
    ground, held = Ground(), study(tmp_path, pruner=pruner, trials=30)
    assert type(held.study.pruner) is kind
    ground.run(held, trials=31)
    rows = held.told()
    assert {row["state"] for row in rows} == {"finished", "pruned"}
    # Not chance: what was ended early was on its way to less than what ran through.
    ended = {
        state: [ground.value(row["knobs"]) for row in rows[1:] if row["state"] == state]
        for state in ("pruned", "finished")
    }
    assert statistics.mean(ended["pruned"]) < statistics.mean(ended["finished"])
    assert max(ended["finished"]) == max(map(ground.value, (row["knobs"] for row in rows)))


@pytest.mark.slow
def test_a_budget_is_kept(tmp_path: Path) -> None:
    ground, held = Ground(seconds=0.05), study(tmp_path)
    end = time.monotonic() + 1.0
    ground.run(held, trials=None, deadline=lambda: end)
    assert 4 < len(ground.asked) < 25
    # Nothing begins after the end, and the last was told to stop: it didn't go on for its own time.
    assert max(ground.begun) < end
    assert time.monotonic() < end + 0.05


def test_a_trial_that_there_was_no_time_for_is_none(tmp_path: Path) -> None:
    ground, held = Ground(), study(tmp_path)

    def late(name: str, *rest: Any) -> Outcome:
        if name == "3":
            raise UnsupportedError("tune.no_time", number=name)
        return ground.attempt(name, *rest)

    ground.run(held, attempt=late)
    assert [row["number"] for row in held.told()] == ["default", 1, 2]
    assert not held.running
    assert not [event for event in ground.events if isinstance(event, Warned)]
    # Whoever goes on with it makes up for it.
    ground.run(held)
    assert len(held.told()) == 13


def test_a_budget_shorter_than_one_trial_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="before one trial"):
        Ground(seconds=5.0).run(study(tmp_path), trials=None, deadline=lambda: 0.2)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("what went wrong"),
        RuntimeError("what went wrong"),
        ValueError("what went wrong"),
        IndexError("what went wrong"),
        OSError("what went wrong"),
        AssertionError("what went wrong"),
        DataError("data.too_few", rows=1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failed_trial_is_not_the_end(tmp_path: Path, capfd: pytest.CaptureFixture[str], error: Exception) -> None:
    ground, held = Ground(), study(tmp_path)

    def fails(name: str, *rest: Any) -> Outcome:
        if name in ("2", "5"):
            raise error
        return ground.attempt(name, *rest)

    ground.run(held, attempt=fails)
    rows = held.told()
    assert [row["number"] for row in rows if row["state"] == "failed"] == [2, 5]
    assert [row["state"] for row in rows].count("finished") == 11
    assert not held.running
    foreseen = isinstance(error, DataError)
    words = str(error.message) if foreseen else f"{type(error).__name__}: what went wrong"
    said = [event.message for event in ground.events if isinstance(event, Warned)]
    assert len(said) == 2
    assert all(words in text for text in (*said, *(row["error"] for row in rows if row["state"] == "failed")))
    # Where nobody foresaw it, the log says where it came from.
    assert ("in fails" in capfd.readouterr().err) == (not foreseen)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_trial_without_a_number_is_a_failed_one(tmp_path: Path, value: float) -> None:
    ground, held = Ground(), study(tmp_path)

    def empty(name: str, *rest: Any) -> Outcome:
        found = ground.attempt(name, *rest)
        return replace(found, values=(value,)) if name == "2" else found

    ground.run(held, attempt=empty, trials=6)
    rows = held.told()
    assert [row["number"] for row in rows if row["state"] == "failed"] == [2]
    assert "'accuracy'" in next(row["error"] for row in rows if row["state"] == "failed")
    assert len(rows) == 6


def test_a_default_without_a_number_ends_it_with_the_cause(tmp_path: Path) -> None:
    held = study(tmp_path, lower=[False, True])
    found = Outcome((0.5, math.nan), {"accuracy": 0.5, "auc": math.nan})
    with pytest.raises(DataError, match=r"'auc'.*validation rows") as caught:
        Ground().run(held, attempt=lambda *given: found)
    assert "eval_data" in caught.value.hint
    assert held.default is None


def test_when_all_fail_the_cause_is_told(tmp_path: Path) -> None:
    def fails(name: str, *rest: Any) -> Outcome:
        if name != "default":
            raise DataError("data.too_few", rows=1)
        return Outcome((0.5,))

    with pytest.raises(DataError):
        Ground().run(study(tmp_path), attempt=fails)


def test_a_full_disk_ends_it_with_the_study_whole(tmp_path: Path) -> None:
    ground, held = Ground(), study(tmp_path)

    def full(name: str, *rest: Any) -> Outcome:
        if name == "4":
            raise StoreError("tune.not_written", path=tmp_path, error="full")
        return ground.attempt(name, *rest)

    with pytest.raises(StoreError):
        ground.run(held, attempt=full)
    again = study(tmp_path)
    assert len(again.told()) == 5
    assert not [t for t in again.trials if t.state.name == "RUNNING"]


def test_a_study_of_other_rows_is_refused(tmp_path: Path) -> None:
    study(tmp_path)
    with pytest.raises(ConflictError, match="other rows"):
        study(tmp_path, fingerprint="g")


def test_a_lock_that_a_killed_process_left_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "ABANDONED", 0.05)
    study(tmp_path)
    (tmp_path / "study.log.lock").touch()
    assert study(tmp_path).told() == []


@pytest.mark.parametrize("begun", [False, True])
def test_a_study_that_another_process_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    monkeypatch.setattr(journal, "WAIT", 0.2)
    held, ground = study(tmp_path), Ground()
    code = "import pathlib, sys, time\nwhile True: pathlib.Path(sys.argv[1]).touch(); time.sleep(0.001)"
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "study.log.lock")])
    try:
        while not (tmp_path / "study.log.lock").exists():
            time.sleep(0.01)
        open_it = partial(ground.run, held) if begun else partial(study, tmp_path)
        with pytest.raises(ConflictError, match="locked by another process"):
            open_it()
    finally:
        other.kill()
        other.wait()
    (tmp_path / "study.log.lock").unlink(missing_ok=True)
    again = study(tmp_path)
    ground.run(again, trials=3)
    assert len(again.told()) == 3


def test_a_study_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "study.log").mkdir()
    with pytest.raises(StoreError, match="written"):
        study(tmp_path)


def test_optuna_opens_the_same_file(tmp_path: Path) -> None:
    held = study(tmp_path)
    Ground().run(held, trials=4)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
    theirs = optuna.load_study(study_name="modelnook", storage=storage)
    assert [t.value for t in theirs.trials] == [t.value for t in held.trials]


def test_a_stop_ends_it_at_once(tmp_path: Path) -> None:
    ground, held = Ground(), study(tmp_path)
    ground.run(held, stop=lambda: len(ground.asked) >= 3)
    assert len(ground.asked) == 3


def test_the_default_teaches_the_sampler_where_it_lies_inside(tmp_path: Path) -> None:
    held = study(tmp_path)
    Ground().run(held, trials=3)
    assert [t.user_attrs.get("default") for t in held.trials] == [True, None, None]
    other = study(tmp_path / "other")
    Ground().run(other, trials=3, space=space_of("learning_rate=1e-4..1e-2:log weight_decay=0..0.1"))
    assert len(other.trials) == 2
    assert other.default is not None


@pytest.mark.parametrize(
    ("method", "given", "taught"), [("lora", {}, (16, 32)), ("rslora", {}, (64, 64)), ("lora", {"alpha": 64}, (16, 64))]
)
def test_the_sampler_is_taught_what_the_default_took(
    tmp_path: Path, method: str, given: dict[str, Any], taught: tuple[int, int]
) -> None:
    class Default(Ground):
        def attempt(self, *args: Any) -> Outcome:
            return replace(super().attempt(*args), params={"method": method, "learning_rate": 1e-4})

    held = study(tmp_path)
    space = space_of("learning_rate=1e-5..1e-2:log lora_r=8|16|64 alpha=16|32|64")
    Default().run(held, trials=1, space=space, defaults={"weight_decay": 0.0, **given})
    assert [(t.params["rank"], t.params["alpha"]) for t in held.trials] == [taught]


def test_progress_says_how_far_it_is(tmp_path: Path) -> None:
    ground = Ground()
    ground.run(study(tmp_path), trials=5)
    shown = [(e.step, e.total) for e in ground.events if isinstance(e, Progress)]
    assert shown == [(1, 5), (2, 5), (3, 5), (4, 5)]


class Trade(Ground):
    """Two numbers, of which more of one is less of the other; the weight decay only costs."""

    def attempt(
        self, name: str, knobs: Mapping[str, Any], report: Callable[[int, float], None], stop: Callable[[], bool]
    ) -> Outcome:
        self.asked.append(name)
        quality = self.value(knobs)
        report(1, quality)
        return Outcome((quality, 10 * quality + 100 * knobs.get("weight_decay", 0.1)), {}, dict(knobs))


def test_several_numbers_make_a_front(tmp_path: Path) -> None:
    ground, held = Trade(), study(tmp_path, lower=[False, True], pruner="asha")
    ground.run(held, trials=26)
    rows = {row["number"]: row["values"] for row in held.told()}
    front = held.front()
    assert len(front) > 1
    for number, (quality, cost) in rows.items():
        better = [n for n, (q, c) in rows.items() if q >= quality and c <= cost and (q, c) != (quality, cost)]
        assert (number in front) == (not better)
    # A pruner was asked for, and Optuna has none for several numbers: every trial ran to its end.
    assert {row["state"] for row in held.told()} == {"finished"}
    assert held.first(front) == max(front, key=lambda number: rows[number][0])
    assert held.importances()


def test_what_leads_is_what_nothing_reached_so_far_beats_or_equals(tmp_path: Path) -> None:
    held = study(tmp_path, lower=[False, True])
    held.add_default(SPACE, {}, (0.5, 10.0), {"state": "finished", "values": [0.5, 10.0]})
    assert held.leads((0.6, 20.0))
    assert held.leads((0.4, 9.0))
    assert not held.leads((0.5, 10.0))
    assert not held.leads((0.5, 11.0))
    alone = study(tmp_path / "alone", lower=[True])
    alone.add_default(SPACE, {}, (0.5,), {"state": "finished", "values": [0.5]})
    assert alone.leads((0.4,))
    assert not alone.leads((0.5,))


def test_a_study_of_several_numbers_goes_on_where_it_ended(tmp_path: Path) -> None:
    ground = Trade()
    ground.run(study(tmp_path, lower=[False, True]), trials=5)
    again = study(tmp_path, lower=[False, True])
    before = again.told()
    ground.run(again, trials=8)
    assert again.told()[: len(before)] == before
    assert len(again.told()) == 8


def test_time_counts_once_however_many_try(tmp_path: Path) -> None:
    ground = Ground(seconds=0.05)
    first = study(tmp_path)
    ground.run(first, trials=3)
    first.elapsed = 1.5
    ground.events.clear()
    again = study(tmp_path)
    assert again.elapsed == 1.5
    mean = sum(row["seconds"] for row in again.told()) / 3
    ground.run(again, trials=7, at_once=2)
    said = next(event for event in ground.events if isinstance(event, Progress))
    assert said.eta_s == pytest.approx(4 * mean / 2)
