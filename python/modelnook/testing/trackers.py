"""What every tracker must keep: inherit :class:`TrackerSuite`, give a name, and run it with pytest."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelnook.domain.event import Event, Failed, Finished, MetricLogged, Progress, Started, Warned
from modelnook.domain.run import RunRecord
from modelnook.tracking import TRACKERS
from modelnook.tracking.base import Tracker

__all__ = ["TrackerSuite"]

SECONDS = 30.0
CANARY = "canary-of-a-row"


class TrackerSuite:
    """Set ``name``. Runs offline; ``written`` may be overridden where a tracker keeps its files elsewhere."""

    name: str

    @pytest.fixture
    def events(self) -> list[Event]:
        """What the tracker said."""
        return []

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A run's folder, not made yet; the process stands in an empty one."""
        (tmp_path / "cwd").mkdir()
        monkeypatch.chdir(tmp_path / "cwd")
        return tmp_path / "runs" / "ab12cd34" / "tracking"

    @pytest.fixture
    def record(self) -> RunRecord:
        """A run that has begun; what must not leave the machine is marked."""
        return RunRecord(
            id="ab12cd34",
            name="topics",
            kind="finetune",
            state="running",
            base="local:base@1",
            task="text-classification",
            data={"fingerprint": "f" * 64, "rows": 10, "columns": {"text": "body"}, "name": f"/tmp/{CANARY}.csv"},
            params={"epochs": 3, "reason": CANARY, "labels": [CANARY]},
            primary_metric="accuracy",
        )

    @pytest.fixture
    def tracker(self, folder: Path, events: list[Event]) -> Tracker:
        """The tracker, not opened."""
        made: Tracker = TRACKERS.load(self.name)(folder, events.append)
        return made

    def written(self, folder: Path) -> bytes:
        """All that it wrote."""
        return b"".join(f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file())

    def run(self, tracker: Tracker, record: RunRecord, steps: int = 20) -> None:
        """A short run, with every kind of event."""
        tracker.open(record, mode="offline")
        tracker.on_event(Started("finetune", {"batch_size": 16, "reason": CANARY}))
        for step in range(1, steps + 1):
            tracker.on_event(Progress("training", step, steps))
            tracker.on_event(MetricLogged(step, {"loss": 1 / step}, epoch=step / 10))
        tracker.on_event(MetricLogged(steps, {"eval_accuracy": 0.5}))
        tracker.close(replace(record, state="finished", metrics={"accuracy": 0.5}, model="local:topics@1"))

    def test_is_its_row(self, tracker: Tracker) -> None:
        assert tracker.name == self.name

    def test_a_run_is_kept_below_its_folder(
        self, tracker: Tracker, record: RunRecord, folder: Path, events: list[Event]
    ) -> None:
        self.run(tracker, record)
        assert self.written(folder)
        assert os.listdir() == []
        assert not [e for e in events if isinstance(e, Warned)]
        status: dict[str, Any] | None = tracker.status()
        if status is not None:
            assert json.loads(json.dumps(status)) == status

    def test_nothing_of_rows_labels_or_paths_is_told(self, tracker: Tracker, record: RunRecord, folder: Path) -> None:
        self.run(tracker, record)
        assert CANARY.encode() not in self.written(folder)

    def test_an_event_returns_at_once_and_the_end_comes_within_seconds(
        self, tracker: Tracker, record: RunRecord
    ) -> None:
        tracker.open(record, mode="offline")
        tracker.on_event(MetricLogged(1, {"loss": 1.0}))
        began = time.monotonic()
        for step in range(2, 500):
            tracker.on_event(MetricLogged(step, {"loss": 1 / step}))
        assert time.monotonic() - began < SECONDS / 3
        tracker.close(record)
        assert time.monotonic() - began < SECONDS

    def test_a_run_without_a_point_ends_well(self, tracker: Tracker, record: RunRecord) -> None:
        tracker.open(record, mode="offline")
        tracker.close(replace(record, state="failed"))

    def test_what_it_does_not_know_is_left_out(self, tracker: Tracker, record: RunRecord) -> None:
        tracker.open(record, mode="offline")
        for event in (Warned("code", "text"), Finished({}, {}, {}), Failed("code", "message", "hint")):
            tracker.on_event(event)
        tracker.on_event(MetricLogged(1, {"loss": float("nan")}))
        tracker.close(record)
