"""Real tables for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import absent


@pytest.fixture
def real(shared_data: Path) -> Callable[[str], Path]:
    """A file of the shared test data, by its path there."""

    def path(name: str) -> Path:
        if not (shared_data / name).exists():
            absent(f"needs {name} in {shared_data} (MODELNOOK_TEST_DATA)")
        return shared_data / name

    return path
