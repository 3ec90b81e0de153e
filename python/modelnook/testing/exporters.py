"""What every exporter must keep: inherit :class:`ExporterSuite`, give a name, and run it with pytest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelnook.catalog.papers import front_matter
from modelnook.domain.errors import ConflictError, StoreError
from modelnook.domain.event import Event, Progress
from modelnook.domain.model import ModelInfo
from modelnook.export import EXPORTERS
from modelnook.export.engine import export
from modelnook.export.place import MANIFEST, manifest
from modelnook.store.files import folder_bytes
from modelnook.testing.models import tiny_rows
from modelnook.testing.trained import trained_model

__all__ = ["ExporterSuite"]


class ExporterSuite:
    """Set ``name``; override ``source`` and ``rows`` where it isn't for classifiers of texts."""

    name: str
    task = "text-classification"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _installed(cls) -> None:
        missing = EXPORTERS[cls.name].missing
        if missing:
            pytest.skip(f"needs {', '.join(missing)}")

    @pytest.fixture(scope="class")
    @classmethod
    def source(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A small trained model."""
        return trained_model(tmp_path_factory.mktemp("exporter") / "source")

    @pytest.fixture(scope="class")
    @classmethod
    def rows(cls) -> list[Any]:
        """Rows to compare on."""
        return list(tiny_rows(12, seed=6)["text"])

    @classmethod
    def export(cls, source: Path, target: Path, rows: list[Any], events: list[Event], **more: Any) -> dict[str, Any]:
        """Write ``target``; the report."""
        info = ModelInfo("local:spam@2", "spam", "local", name="spam", license="mit", base_model="pip:tiny@1")
        given = {"lineage": ["local:spam@2", "pip:tiny@1"], "identity": "me", "emit": events.append, **more}
        report = export(source, target, to=cls.name, task=cls.task, rows=rows, info=info, **given)
        assert report is not None
        return report

    @pytest.fixture(scope="class")
    @classmethod
    def made(cls, source: Path, rows: list[Any]) -> tuple[Path, dict[str, Any], list[Event]]:
        """The folder, its report, and what was emitted."""
        events: list[Event] = []
        target = source.parent / "made"
        return target, cls.export(source, target, rows, events), events

    def test_is_named_as_its_row(self) -> None:
        made = EXPORTERS.load(self.name)
        assert made.name == self.name
        assert made.tolerance > 0

    def test_the_folder_is_whole_and_says_what_it_is(
        self, made: tuple[Path, dict[str, Any], list[Event]], source: Path
    ) -> None:
        folder, report, events = made
        assert (folder / EXPORTERS.load(self.name).weights).is_file()
        head = front_matter(folder / "README.md")
        assert (head["license"], head["base_model"]) == ("mit", "pip:tiny@1")
        assert "```python" in (folder / "README.md").read_text(encoding="utf-8")
        assert manifest(folder)["identity"] == "me"
        assert manifest(folder)["bytes"] == report["bytes"] == folder_bytes(folder)
        assert {"loading", "measuring", "saving"} & {e.phase for e in events if isinstance(e, Progress)}
        assert not [file for file in folder.parent.iterdir() if file.name.startswith(".")]
        for file in folder.rglob("*.json"):
            assert str(source.parent) not in file.read_text(encoding="utf-8")

    def test_it_answers_as_the_original_within_its_tolerance(
        self, made: tuple[Path, dict[str, Any], list[Event]], rows: list[Any]
    ) -> None:
        report = made[1]
        assert report["format"] == self.name
        assert report["equal"] == 1.0
        assert report["rows"] == len(rows)
        assert report["max_difference"] is None or report["max_difference"] <= report["tolerance"]

    def test_what_is_there_is_kept(
        self, made: tuple[Path, dict[str, Any], list[Event]], source: Path, rows: list[Any]
    ) -> None:
        before = (made[0] / MANIFEST).read_bytes()
        with pytest.raises(ConflictError):
            self.export(source, made[0], rows, [])
        assert (made[0] / MANIFEST).read_bytes() == before

    def test_prints_nothing(
        self, source: Path, rows: list[Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self.export(source, tmp_path / "quiet", rows, [])
        assert capfd.readouterr() == ("", "")

    def test_a_place_that_takes_nothing_is_left_as_it_was(self, source: Path, rows: list[Any], tmp_path: Path) -> None:
        place = tmp_path / "place"
        place.mkdir()
        (place / "file").write_text("not a folder")
        with pytest.raises(StoreError):
            self.export(source, place / "file" / "out", rows, [])
        assert [file.name for file in place.iterdir()] == ["file"]
