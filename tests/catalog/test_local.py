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


@pytest.mark.parametrize(
    ("head", "licence"),
    [
        ("license:\n- mit\n- gpl-3.0", "mit"),
        ("license: mit\x1b[2J", "mit[2J"),
        ("license: [", "["),
        ("license: {a: b}\nlanguage: !!python/object/apply:os.system ['true']", None),
        ("license: &a [*a]\nlanguage:\n- <script>", None),
        ("\u202elicense: mit", "mit"),
        ("a: &x [1]\n" * 3000, None),
    ],
)
def test_a_hostile_card_is_text(head: str, licence: str | None, tmp_path: Path) -> None:
    from modelnook import cards

    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text(f"---\n{head}\n---\n<script>alert(1)</script>", encoding="utf-8")
    info = PathSource("path").info(ModelRef("path", str(tmp_path)))
    assert info.license == licence
    assert "\x1b" not in cards.text(info)
    assert "<script>" not in cards.html(info)


def test_the_rows_are_those_with_a_suite() -> None:
    """The others have theirs in a file of their own; that of ``folder`` is ``test_shared``."""
    own = {f.stem.removeprefix("test_") for f in Path(__file__).parent.glob("test_*.py")}
    assert set(SOURCES) <= {TestLocal.kind, TestPath.kind, "folder", *own}
