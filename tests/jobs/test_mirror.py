"""A job with MODELNOOK_MIRROR: copies follow, and a place that can't be written to doesn't touch the run."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelnook as mn
from modelnook.run import Run

from .conftest import table, until

pytestmark = pytest.mark.slow


def test_copies_of_a_run_and_its_model_follow(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive = tmp_path / "drive"
    monkeypatch.setenv("MODELNOOK_MIRROR", str(drive))
    run = mn.finetune(tiny, table(48), name="kept", epochs=2, track="none")
    assert (run.state, _told(run)) == ("finished", [])
    assert (drive / "runs" / run.id / "checkpoints" / "best" / "weights.safetensors").exists()
    weights = [p / "model.safetensors" for p in (drive / "models" / "kept" / "1", Path(mn.info("kept").path or ""))]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    until(lambda: run.folder.lease.holder() is None, 20)
    assert '"finished"' in (drive / "runs" / run.id / "state.json").read_text()


def test_a_mirror_that_cannot_be_written_to_is_a_warning(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MODELNOOK_MIRROR", str(tmp_path / "file" / "drive"))
    run = mn.finetune(tiny, table(48), name="kept", epochs=2, track="none")
    assert run.state == "finished"
    assert len(mn.predict(run.model, ["hello"])) == 1
    [warning] = _told(run)
    assert str(tmp_path / "file" / "drive") in warning
    until(lambda: run.folder.lease.holder() is None, 20)


def _told(run: Run) -> list[str]:
    return [warning for warning in run.record.warnings if "MODELNOOK_MIRROR" in warning]
