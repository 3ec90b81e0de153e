"""The seam: what is finished is in the second place too."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelnook.domain.event import Event, Warned
from modelnook.settings import current
from modelnook.store.mirror import FolderMirror, NoMirror, mirror_of


def test_off_by_default() -> None:
    assert isinstance(mirror_of(current()), NoMirror)


def test_copies_follow_and_old_checkpoints_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_MIRROR", str(tmp_path / "drive"))
    mirror = mirror_of(current())
    assert isinstance(mirror, FolderMirror)
    run = tmp_path / "runs" / "r1"
    for step in ("000010", "best", "000020"):
        point = run / "checkpoints" / step
        point.mkdir(parents=True)
        (point / "weights").write_text(step)
        mirror.checkpoint("r1", point)
    (run / "state.json").write_text("{}")
    (run / "lease").mkdir()
    mirror.record("r1", run)
    there = tmp_path / "drive" / "runs" / "r1"
    assert sorted(p.name for p in (there / "checkpoints").iterdir()) == ["000020", "best"]
    assert (there / "state.json").exists()
    assert not (there / "lease").exists()


def test_a_failed_copy_is_said_once_and_leaves_what_was_there(tmp_path: Path) -> None:
    said: list[Event] = []
    drive = tmp_path / "drive"
    mirror = FolderMirror(drive, said.append)
    run = tmp_path / "runs" / "r1"
    (point := run / "checkpoints" / "000010").mkdir(parents=True)
    (run / "state.json").write_text("{}")
    mirror.checkpoint("r1", point)
    (run / "checkpoints" / "000020").symlink_to(tmp_path / "nowhere")
    (drive / "models").write_text("in the way")
    mirror.checkpoint("r1", run / "checkpoints" / "000020")
    mirror.model("topics", point)
    [warned] = said
    assert isinstance(warned, Warned)
    assert warned.code == "store.mirror_failed"
    assert str(drive) in warned.message
    mirror.record("r1", run)
    assert (drive / "runs" / "r1" / "state.json").exists(), "the next copy is tried"
    assert [p.name for p in (drive / "runs" / "r1" / "checkpoints").iterdir()] == ["000010"]
