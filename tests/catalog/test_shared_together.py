"""Downloads of a team's models at the same time: contents are shared between versions, so are their parts."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from tests.catalog.team import added, parcel, quiet

from modelnook.catalog import shared_cache, transfer
from modelnook.catalog.shared import SharedSource
from modelnook.domain.errors import ConflictError
from modelnook.domain.event import Progress
from modelnook.domain.model import ModelRef


class Download:
    """One that waits in the middle of the weights until it may go on."""

    def __init__(self, team: SharedSource, number: str, pool: ThreadPoolExecutor) -> None:
        self.begun, self.go = Event(), Event()
        self.result: Future[Path] = pool.submit(team.fetch, ModelRef("team", "spam", number), self.emit)

    def emit(self, event: Progress) -> None:
        if event.step >= 4_000_000 and not self.begun.is_set():
            self.begun.set()
            assert self.go.wait(30)


@pytest.fixture
def team(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SharedSource:
    """Two versions with the same weights."""
    monkeypatch.setattr(shared_cache, "_TELL_EVERY", 0)
    monkeypatch.setattr(transfer, "_ASK_EVERY", 0.01)
    found = added(str(place))
    for mark in "ab":
        found.publish("spam", parcel(tmp_path / mark, mark, padding=9_000_000), quiet)
    return found


@pytest.mark.parametrize("second", ["2", "1"], ids=["another version", "the same"])
def test_what_shares_a_content_waits_and_both_are_whole(team: SharedSource, tmp_path: Path, second: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = Download(team, "1", pool)
        assert first.begun.wait(30)
        waits = Event()
        ref = ModelRef("team", "spam", second)
        other = pool.submit(team.fetch, ref, quiet, stop=lambda: waits.set() or False)  # type: ignore[func-returns-value]
        assert waits.wait(30)
        first.go.set()
        folders = {"1": first.result.result(30), second: other.result(30)}
    weights = (tmp_path / "a" / "model.safetensors").read_bytes()
    for number, folder in folders.items():
        assert (folder / "model.safetensors").read_bytes() == weights
        assert json.loads((folder / "config.json").read_text())["mark"] == {"1": "a", "2": "b"}[number]
    assert not list(team.cache.path.glob("parts/*.incomplete"))


@pytest.mark.parametrize("second", ["2", "1"], ids=["another version", "the same"])
def test_what_waits_for_another_can_be_stopped(team: SharedSource, second: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = Download(team, "1", pool)
        assert first.begun.wait(30)
        # More often than the small files ask.
        asked = iter([False] * 50)
        other = pool.submit(team.fetch, ModelRef("team", "spam", second), quiet, stop=lambda: next(asked, True))
        try:
            with pytest.raises(ConflictError, match="was stopped"):
                other.result(30)
        finally:
            first.go.set()
        assert (first.result.result(30) / "model.safetensors").is_file()
