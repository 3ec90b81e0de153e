"""What a run was computed with is named as the machine names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelnook.domain.run import RunRecord
from modelnook.jobs import environment as module
from modelnook.jobs.environment import environment, hardware

DRIVER = "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 254\nGPU UUID: \t GPU-1\n"


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What NVIDIA's driver says of two cards."""
    for at in ("0000:1b:00.0", "0000:43:00.0"):
        (tmp_path / "gpus" / at).mkdir(parents=True)
        (tmp_path / "gpus" / at / "information").write_text(DRIVER)
    monkeypatch.setattr(module, "_DRIVER", tmp_path / "gpus")
    return tmp_path / "gpus"


def test_as_many_gpus_as_were_used_are_named(driver: Path) -> None:
    assert hardware("cuda") == "1 × NVIDIA H100 80GB HBM3"
    run = RunRecord("abcdefg1", "x", "finetune", "running", device="cuda", params={"processes": 2})
    assert environment(run)["hardware"] == "2 × NVIDIA H100 80GB HBM3"
    (driver / "0000:43:00.0" / "information").write_text(DRIVER.replace("H100 80GB HBM3", "A10"))
    assert hardware("cuda:0", 2) == "1 × NVIDIA H100 80GB HBM3, 1 × NVIDIA A10"
    assert hardware("cuda:1") == "1 × NVIDIA A10"


def test_what_nobody_names_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DRIVER", tmp_path / "none")
    assert hardware("cuda", 2) == ""
    (tmp_path / "gpus" / "0000:1b:00.0" / "information").mkdir(parents=True)
    monkeypatch.setattr(module, "_DRIVER", tmp_path / "gpus")
    assert hardware("cuda") == "", "what can't be read fails no run"
    monkeypatch.setattr(module, "_CPUS", tmp_path / "none")
    monkeypatch.setattr(module.platform, "processor", lambda: "")
    assert hardware("cpu") == ""
