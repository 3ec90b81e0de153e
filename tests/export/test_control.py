"""What an export never does: overwrite unasked, leave a part behind, or let other answers through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.export.conftest import Export

from modelnook.domain.errors import ConflictError, MissingPackage, RefusedError, StoreError, UsageError
from modelnook.domain.export import Exported
from modelnook.domain.model import ModelInfo
from modelnook.export import EXPORTERS
from modelnook.export.place import MANIFEST
from modelnook.export.safetensors import SafetensorsExporter
from modelnook.registry import Entry


class Ruined(SafetensorsExporter):
    """Writes a model whose head says the opposite."""

    def write(self, source: Path, folder: Path, **more: Any) -> dict[str, Any]:
        from safetensors.torch import load_file, save_file

        found = super().write(source, folder, **more)
        weights = load_file(folder / self.weights)
        save_file({n: -w if n.startswith("classifier") else w for n, w in weights.items()}, folder / self.weights)
        return found


@pytest.fixture
def ruined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXPORTERS._all, "safetensors", Entry(f"{__name__}:Ruined", "ruined"))


@pytest.mark.slow
def test_other_answers_are_refused_with_the_numbers(
    ruined: None, trained: Path, texts: list[str], written: Export, place: Path
) -> None:
    with pytest.raises(RefusedError, match=r"answer on \d+\.\d% of 24 rows only"):
        written(trained, place / "out", "safetensors", texts)
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    "to", [*(pytest.param(name, marks=pytest.mark.slow) for name in ("onnx", "openvino")), "safetensors"]
)
def test_a_full_disk_is_said_and_nothing_is_left(
    to: str, small_disk: Path, trained: Path, texts: list[str], written: Export
) -> None:
    if EXPORTERS[to].missing:
        pytest.skip(f"needs what {to} is written with")
    with pytest.raises(StoreError, match="no room left on the disk"):
        written(trained, small_disk / "out", to, texts)
    assert not list(small_disk.iterdir())


@pytest.mark.slow
def test_what_is_there_stays_unless_it_is_said(trained: Path, texts: list[str], written: Export, place: Path) -> None:
    target = place / "out"
    target.mkdir()
    written(trained, target, "safetensors", texts)
    with pytest.raises(ConflictError, match="--overwrite"):
        written(trained, target, "safetensors", texts)
    stale, said = target / "old" / "stale.bin", json.loads((target / MANIFEST).read_text())
    stale.parent.mkdir()
    stale.write_text("of the earlier export")
    (target / MANIFEST).write_text(json.dumps({**said, "files": [*said["files"], "old/stale.bin", "../outside.txt"]}))
    (target / "mine.txt").write_text("mine")
    (place / "outside.txt").write_text("mine")
    path = f"path:{trained}"
    info = ModelInfo(path, path, "path", name="spam", task="text-classification", base_model=str(trained))
    written(trained, target, "safetensors", texts, overwrite=True, info=info, lineage=[path, str(trained)])
    assert not stale.parent.exists()
    assert (target / "mine.txt").read_text() == (place / "outside.txt").read_text() == "mine"
    assert not [f.name for f in target.iterdir() if str(trained) in f.read_text(errors="ignore")]
    assert (target / "model.safetensors").is_file()
    # One that is no file of the earlier export, and would be one of this.
    del said["files"]["README.md"]
    (target / MANIFEST).write_text(json.dumps(said))
    (target / "README.md").write_text("mine")
    with pytest.raises(ConflictError, match=r"README\.md.*another path"):
        written(trained, target, "safetensors", texts, overwrite=True)
    assert (target / "README.md").read_text() == "mine"
    assert (target / "model.safetensors").is_file()
    assert sorted(p.name for p in place.iterdir()) == ["out", "outside.txt"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_no_export_wrote_is_never_replaced(
    trained: Path, texts: list[str], written: Export, place: Path, overwrite: bool
) -> None:
    import modelnook

    table, notes, gguf = place / "reviews.csv", place / "notes", place / "model.gguf"
    notes.mkdir()
    for file in (table, notes / MANIFEST, gguf):
        file.write_text('{"text": "mine"}')
    for target in (table, notes, gguf):
        with pytest.raises(ConflictError, match="no export") as refused:
            written(trained, target, "safetensors", texts, overwrite=overwrite)
        assert "--overwrite" not in str(refused.value)
    with pytest.raises(ConflictError, match="no export"):
        modelnook.export(str(trained), table, to="safetensors", overwrite=overwrite)
    for file in (table, notes / MANIFEST, gguf):
        assert file.read_text() == '{"text": "mine"}'
    assert len(list(place.iterdir())) == 3


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place where nobody makes folders")
def test_a_place_without_folders_is_said(trained: Path, texts: list[str], written: Export) -> None:
    with pytest.raises(StoreError, match="'/proc/x' can't be written"):
        written(trained, Path("/proc/x"), "safetensors", texts)


def test_a_stop_leaves_nothing(trained: Path, texts: list[str], written: Export, place: Path) -> None:
    assert written(trained, place / "out", "safetensors", texts, stop=lambda: True) is None
    assert not list(place.iterdir())


@pytest.mark.slow
def test_what_a_killed_export_left_goes_with_the_next_one_to_the_place(
    trained: Path, texts: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import modelnook

    monkeypatch.setenv("MODELNOOK_THREADS", "1")
    rows = [{"text": text} for text in texts]
    modelnook.export(str(trained), place / "other", to="safetensors", data=rows)
    ended = modelnook.runs()[0].id
    mine = [place / ".out.notes.tmp", place / f".outer.{ended}.tmp"]
    for left in (place / f".out.{ended}.tmp", *mine):
        left.mkdir()
        (left / "model.safetensors").write_text("half")
    modelnook.export(str(trained), place / "out", to="safetensors", data=rows)
    assert sorted(p.name for p in place.iterdir()) == sorted(["other", "out", *(p.name for p in mine)])


def test_a_format_that_nobody_knows() -> None:
    import modelnook

    with pytest.raises(UsageError, match="Did you mean 'onnx'"):
        modelnook.export("spam", "out", to="onyx")


def test_a_package_that_is_missing_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import modelnook

    missing = Entry("nowhere:Nothing", "", requires=("no_such_package",), extra="onnx")
    monkeypatch.setitem(EXPORTERS._all, "onnx", missing)
    with pytest.raises(MissingPackage, match=r"pip install 'modelnook\[onnx\]'"):
        modelnook.export("spam", "out", to="onnx")


def test_an_exported_path_is_a_path(place: Path) -> None:
    import pickle

    path = Exported.of(place / "out", {"equal": 1.0, "format": "onnx"})
    assert isinstance(path, Path)
    assert path == place / "out"
    assert (path / "model.onnx").parent == path
    assert pickle.loads(pickle.dumps(path)).report == path.report
    assert json.loads(json.dumps(path.to_dict()))["report"]["format"] == "onnx"


@pytest.mark.slow
def test_a_job_exports_and_the_same_again_is_free(
    trained: Path, texts: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import modelnook
    from modelnook import cards

    monkeypatch.setenv("MODELNOOK_THREADS", "1")
    monkeypatch.chdir(place)
    rows = [{"text": text} for text in texts]
    path = modelnook.export(str(trained), "out", to="safetensors", data=rows)
    assert path == place / "out"
    assert path.report["equal"] == 1.0
    assert path.report["data"] == "data"
    assert path.report["rows"] == len(texts)
    said = cards.text(path)
    assert "exported as safetensors" in said
    assert "100.0%" in said
    again = modelnook.export(str(trained), "out", to="safetensors", data=rows)
    assert "nothing was written" in again.note
    assert [run.kind for run in modelnook.runs()] == ["export"]
    with pytest.raises(ConflictError):
        modelnook.export(str(trained), "out", to="safetensors")
    # Without rows: texts of its own, and what was there is replaced when that is said.
    own = modelnook.export(str(trained), "out", to="safetensors", overwrite=True)
    assert own.report["data"] == "own"
    assert own.report["rows"] >= 16
