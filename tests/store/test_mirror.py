"""The seam: what is finished is in the second place too."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelnook.settings import current
from modelnook.store.mirror import FolderMirror, NoMirror, mirror_of


def test_off_by_default() -> None:
    assert isinstance(mirror_of(current()), NoMirror)


def test_copies_follow_and_old_checkpoints_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_MIRROR", str(tmp_path / "drive"))
    mirror = mirror_of(current())
    assert isinstance(mirror, FolderMirror)
    run = tmp_path / "runs" / "r1"
    for step in ("000010", "000020"):
        point = run / "checkpoints" / step
        point.mkdir(parents=True)
        (point / "weights").write_text(step)
        mirror.checkpoint("r1", point)
    (run / "state.json").write_text("{}")
    (run / "lease").mkdir()
    mirror.record("r1", run)
    there = tmp_path / "drive" / "runs" / "r1"
    assert [p.name for p in (there / "checkpoints").iterdir()] == ["000020"]
    assert (there / "state.json").exists()
    assert not (there / "lease").exists()
