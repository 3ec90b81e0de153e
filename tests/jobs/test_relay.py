"""What a run elsewhere loses and keeps: its calls answered by a real :class:`Remote` in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelnook.jobs import transfer
from modelnook.jobs.relay import Relay
from modelnook.jobs.remote import Remote, checkpoints_in
from modelnook.store import Store


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    # It makes the environment of its process its own.
    monkeypatch.setattr(os, "environ", os.environ.copy())
    made = Remote({})
    made.run = made.store.run("r1")
    yield made
    made.close()


def following(remote: Remote, home: Path, stop: Callable[[], bool] = lambda: False) -> Relay:
    mirror = SimpleNamespace(checkpoint=lambda run, path: None)
    run = Store(home).run("r1")
    context: Any = SimpleNamespace(run=run, recorder=SimpleNamespace(mirror=mirror), stop=stop)
    return Relay(context, lambda method, *arguments: getattr(remote, method)(*arguments))


def point(root: Path, name: str, said: str = "{}") -> None:
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "manifest.json").write_text(said)
    (root / name / "weights").write_text(name)


def test_the_last_checkpoint_here_stays_until_a_newer_one_has_come(remote: Remote, tmp_path: Path) -> None:
    ours = following(remote, tmp_path)
    assert remote.run is not None
    here, there = ours.context.run.checkpoints, remote.run.checkpoints
    point(here, "step-00000010")
    point(there, "best")
    point(there, "step-00000020")
    seen = remote.checkpoints()
    # Over a slow link the one that was seen is another by the time it is here.
    point(there, "step-00000020", '{"a": "b"}')
    ours._keep(seen)
    assert checkpoints_in(here) == ["best", "step-00000010"]
    ours._keep(remote.checkpoints())
    assert checkpoints_in(here) == ["best", "step-00000020"]
    assert not [entry for entry in os.listdir(here) if entry.startswith(".")]
    point(there, "best", '{"c": "d"}')
    ours._keep(remote.checkpoints())
    assert (here / "best" / "manifest.json").read_text() == '{"c": "d"}'


def test_a_stop_is_heard_between_two_parts_of_a_file(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PART", 4)
    base = tmp_path / "base"
    base.mkdir()
    (base / "weights").write_text("0123456789")
    sent = remote.home / "base" / "weights"
    ours = following(remote, tmp_path, stop=lambda: sent.exists())
    monkeypatch.setattr(ours, "_send", lambda: ours.files.put(base, "base"))
    monkeypatch.setattr(ours, "_close", lambda: None)
    assert ours.run().stopped
    assert sent.read_text() == "0123"
