"""Trackers in a process of their own: it gives way, it ends with the job, and its death is a warning."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from modelnook.domain.event import Event, MetricLogged, Started, Warned
from modelnook.domain.run import RunRecord
from modelnook.jobs.apart import Apart
from modelnook.jobs.listener import Tracked
from modelnook.jobs.trackers import Trackers
from modelnook.store.runs import now

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("logged")]


@pytest.fixture
def record() -> RunRecord:
    """A run under way."""
    return RunRecord(id="r1", kind="finetune", name="topics", state="running", created=now())


def trackers(folder: Path, record: RunRecord, apart: Apart, said: list[Event], told: list[dict[str, Any]]) -> Trackers:
    """W&B, offline, of a run."""
    return Trackers(Tracked(["wandb:offline"], folder, said.append, told.append), lambda: record, apart)


def child_of(apart: Apart) -> Any:
    """The process, once it is there."""
    end = time.monotonic() + 20
    while apart.child is None and time.monotonic() < end:
        time.sleep(0.01)
    assert apart.child
    return apart.child


def test_two_runs_share_a_process_that_gives_way_and_ends(tmp_path: Path, record: RunRecord) -> None:
    apart, said, told = Apart(), [], []  # type: tuple[Apart, list[Event], list[dict[str, Any]]]
    runs = [trackers(tmp_path / n, replace(record, id=n), apart, said, told) for n in ("a", "b")]
    for run in runs:
        run.on_event(Started("finetune", {"epochs": 1}))
        run.on_event(MetricLogged(1, {"loss": 0.5}, 0.1))
    child = child_of(apart)
    end = time.monotonic() + 20
    while len(told) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    # Heard once W&B's service is there.
    runs[0].on_event(MetricLogged(2, {"loss": 0.4}, 0.2))
    if sys.platform == "linux":
        assert os.sched_getscheduler(child.pid) == os.SCHED_IDLE
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == 19
        if Path("/proc/self/autogroup").exists():
            # The service is in a session of its own, and these share the cores as equals until one is told otherwise.
            services = psutil.Process(child.pid).children(recursive=True)
            assert services
            groups = [Path(f"/proc/{service.pid}/autogroup") for service in services]
            while not all("nice 19" in group.read_text() for group in groups):
                assert time.monotonic() < end + 20
                time.sleep(0.05)
            assert "nice 19" not in Path("/proc/self/autogroup").read_text(), "this session goes without"
    for run in runs:
        run.close()
    assert said == []
    assert [Path(status["path"]).parent.parent.name for status in told[-2:]] == ["a", "b"]
    assert all(list((tmp_path / n).glob("wandb/*/*.wandb")) for n in ("a", "b"))
    apart.end()
    assert child.wait(10) == 0


def test_its_death_is_a_warning_and_nobody_waits_for_it(tmp_path: Path, record: RunRecord) -> None:
    said: list[Event] = []
    apart = Apart()
    run = trackers(tmp_path, record, apart, said, [])
    run.on_event(MetricLogged(1, {"loss": 0.5}))
    os.kill(child_of(apart).pid, signal.SIGKILL)
    began = time.monotonic()
    run.on_event(MetricLogged(2, {"loss": 0.4}))
    run.close()
    assert time.monotonic() - began < 5
    [warned] = said
    assert isinstance(warned, Warned)
    assert warned.code == "jobs.tracker_failed"
    assert "wandb" in warned.message
    other, held = trackers(tmp_path / "other", record, apart, said, []), apart._orders.qsize()
    for step in range(1, 4):
        other.on_event(MetricLogged(step, {"loss": 0.5}))
    other.close()
    assert apart._orders.qsize() <= held, "nothing is kept for whoever is gone"
    assert said == [warned]


def test_it_ends_at_once_with_a_job_that_dies(tmp_path: Path, record: RunRecord) -> None:
    apart = Apart()
    run = trackers(tmp_path, record, apart, [], [])
    run.on_event(MetricLogged(1, {"loss": 0.5}))
    child = child_of(apart)
    child.stdin.close()
    assert child.wait(10) == 0


def test_no_process_where_nothing_is_logged(tmp_path: Path, record: RunRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    run = Trackers(Tracked(["wandb"], tmp_path / "run", [].append, [].append), lambda: record)
    run.prepare()
    run.on_event(MetricLogged(1, {"loss": 0.5}))
    run.close()
    assert not (tmp_path / "run").exists()
