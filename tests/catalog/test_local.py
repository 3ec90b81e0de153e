"""The sources ``local`` and ``path`` keep the suite's promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelnook.catalog import SOURCES
from modelnook.catalog.base import Source
from modelnook.catalog.folder import describe
from modelnook.catalog.local import LocalSource, PathSource
from modelnook.domain.model import ModelRef
from modelnook.store import Store
from modelnook.testing.models import tiny_model
from modelnook.testing.sources import SourceSuite


class TestLocal(SourceSuite):
    kind = "local"

    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        folder = tiny_model(tmp_path / "m", ("ham", "spam"))
        Store().models.add("spam", folder, describe(folder, ref="", id="spam", source="local"))
        return LocalSource()

    @pytest.fixture
    def ref(self) -> ModelRef:
        return ModelRef("local", "spam")


class TestPath(SourceSuite):
    kind = "path"
    listed = False

    @pytest.fixture
    def source(self) -> Source:
        return PathSource("path")

    @pytest.fixture
    def ref(self, tmp_path: Path) -> ModelRef:
        return ModelRef("path", str(tiny_model(tmp_path / "m")))


def test_the_rows_are_those_with_a_suite() -> None:
    """``folder``, ``hub`` and ``pip`` have theirs in ``test_shared``, ``test_hub`` and ``test_pip``."""
    assert set(SOURCES) == {TestLocal.kind, TestPath.kind, "folder", "hub", "pip"}
