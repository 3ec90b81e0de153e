"""A folder that a team shares."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """It is there, and empty."""
    folder = tmp_path / "mnt"
    folder.mkdir()
    return folder
