"""Real tables for the tests of this room."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", "en")
    monkeypatch.setenv("MODELNOOK_HOME", str(tmp_path / "home"))
    for name in ("MODELNOOK_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def real() -> Callable[[str], Path]:
    """A file of the shared test data by its path there; skips where the folder isn't beside the project."""
    folder = Path(os.environ.get("MODELNOOK_TEST_DATA") or ROOT.parent / "shared" / "data")

    def path(name: str) -> Path:
        if not (folder / name).exists():
            pytest.skip(f"no test data {name} in {folder} (set MODELNOOK_TEST_DATA)")
        return folder / name

    return path
