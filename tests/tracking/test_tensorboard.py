"""The tracker ``tensorboard``: event files, read with TensorBoard's own reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelnook.domain.event import MetricLogged, Started
from modelnook.domain.run import RunRecord
from modelnook.tracking import TRACKERS
from modelnook.tracking.tensorboard import TensorBoardTracker

pytest.importorskip("torch.utils.tensorboard")


def scalars(folder: Path, name: str) -> dict[int, float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder / "tensorboard"))
    read.Reload()
    return {e.step: round(e.value, 4) for e in read.Scalars(name)}


def test_curves_and_results_are_written(folder: Path, record: RunRecord, heard: Any) -> None:
    assert TRACKERS.load("tensorboard") is TensorBoardTracker
    tracker = TensorBoardTracker(folder, heard)
    tracker.open(record)
    tracker.on_event(Started("finetune", {"batch_size": 32, "reason": "canary-reason"}))
    assert tracker.status() is None
    for step in range(1, 6):
        tracker.on_event(MetricLogged(step, {"loss": step / 10}))
    tracker.close(replace(record, metrics={"accuracy": 0.9}))
    assert scalars(folder, "loss") == {step: step / 10 for step in range(1, 6)}
    assert list(scalars(folder, "final/accuracy").values()) == [0.9]
    assert (tracker.status() or {})["path"] == str(folder / "tensorboard")
    written = b"".join(f.read_bytes() for f in (folder / "tensorboard").iterdir())
    assert b"batch_size: 32" in written
    assert b"canary" not in written


def test_resumed_it_forgets_what_came_after_the_checkpoint(folder: Path, record: RunRecord, heard: Any) -> None:
    for resume, steps, factor in ((False, range(1, 21), 1.0), (True, range(11, 31), 2.0)):
        tracker = TensorBoardTracker(folder, heard)
        tracker.open(record, resume=resume)
        tracker.on_event(Started("finetune", {}))
        for step in steps:
            tracker.on_event(MetricLogged(step, {"loss": step * factor}))
        tracker.close(record)
    expected = {step: float(step) for step in range(1, 11)} | {step: 2.0 * step for step in range(11, 31)}
    assert scalars(folder, "loss") == expected


def test_nothing_is_written_where_nothing_happens(folder: Path, record: RunRecord, heard: Any) -> None:
    tracker = TensorBoardTracker(folder, heard)
    tracker.open(record)
    tracker.close(record)
    assert not folder.exists()
