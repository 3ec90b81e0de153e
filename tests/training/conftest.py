"""What tests of the loop start from: a small random model, and what is trained of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.training.test_loop import Setup

from modelnook.testing.models import tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture
def setup(folder: Path) -> Setup:
    return Setup(folder)
