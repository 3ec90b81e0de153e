"""Trackers in this process: what goes wrong with one event of one tracker keeps nothing else from being told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from modelnook.domain.event import Event, MetricLogged, Warned
from modelnook.domain.run import RunRecord
from modelnook.jobs import listener as module
from modelnook.jobs.listener import Listener, Tracked
from modelnook.tracking.base import Tracker

RECORD = RunRecord("r1", "topics", "finetune", "running")


class Keeps(Tracker):
    """Keeps the steps it is told, and fails at the second."""

    name = "keeps"
    taken: list[int]
    expected: list[list[Event]]

    def open(self, record: RunRecord, *, mode: str = "auto", resume: bool = False) -> None:
        """Begin with none."""
        type(self).taken, type(self).expected = [], []

    def expect(self, events: Sequence[Event]) -> None:
        """Keep what is told ahead."""
        self.expected.append(list(events))

    def on_event(self, event: Event) -> None:
        """Keep a step."""
        assert isinstance(event, MetricLogged)
        if event.step == 2:
            raise OSError("lost")
        self.taken.append(event.step)

    def close(self, record: RunRecord) -> None:
        """There is nothing left to write."""


def test_one_event_that_fails_is_a_warning_and_the_others_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRACKERS", type("Rows", (), {"load": staticmethod(lambda name: Keeps)}))
    said: list[Any] = []
    listener = Listener(Tracked(["keeps"], tmp_path, said.append, [].append))
    points = [MetricLogged(step, {"loss": 0.5}) for step in range(1, 5)]
    for point in points:
        listener.on_event(point)
    listener.close(RECORD)
    listener.open(RECORD)
    listener.wait(20)
    assert Keeps.expected == [points], "they had gathered"
    assert Keeps.taken == [1, 3, 4]
    [warned] = said
    assert isinstance(warned, Warned)
    assert (warned.code, "lost" in warned.message) == ("jobs.tracker_failed", True)
