"""What lies where an export goes: an earlier one makes way, nothing else does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelnook.domain.errors import ConflictError, StoreError
from modelnook.export import place as module
from modelnook.export.place import MANIFEST, manifest, put, refuse_taken, same, signed
from modelnook.messages import LANGUAGES

NEW = {"model.bin": "new", "sub/config.json": "new"}


@pytest.fixture
def staged(tmp_path: Path) -> Callable[..., Path]:
    """A finished export beside its place."""

    def stage(files: dict[str, str] | None = None, identity: str = "me") -> Path:
        folder = tmp_path / "staged"
        for name, text in (files or NEW).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        signed(folder, {"format": "onnx"}, identity)
        return folder

    return stage


def old(target: Path) -> None:
    """Make an export into one of a version that kept no list of its files."""
    said: dict[str, Any] = manifest(target)
    del said["files"]
    said["bytes"] = 0
    for _ in range(3):
        (target / MANIFEST).write_text(json.dumps(said))
        said["bytes"] = sum(f.stat().st_size for f in target.rglob("*") if f.is_file())


def below(target: Path) -> dict[str, str]:
    return {f.relative_to(target).as_posix(): f.read_text() for f in target.rglob("*") if f.is_file()}


def test_an_export_of_before_there_were_lists_is_replaced(staged: Callable[..., Path], tmp_path: Path) -> None:
    target = tmp_path / "out"
    put(staged({"model.bin": "old", "left/over.txt": "old"}), target, overwrite=False)
    old(target)
    (target / ".gitkeep").touch()
    assert same(target, "me"), "the same again is free"
    with pytest.raises(ConflictError, match="--overwrite"):
        refuse_taken(target, overwrite=False)
    put(staged(), target, overwrite=True)
    assert below(target) == {**NEW, ".gitkeep": "", MANIFEST: (target / MANIFEST).read_text()}
    assert not (target / "left").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_one_that_was_changed_since_is_left(staged: Callable[..., Path], tmp_path: Path, overwrite: bool) -> None:
    target = tmp_path / "out"
    put(staged(), target, overwrite=False)
    old(target)
    (target / "mine.txt").write_text("mine")
    before = below(target)
    with pytest.raises(ConflictError, match="earlier version") as refused:
        put(staged(), target, overwrite=overwrite)
    assert "--overwrite" not in str(refused.value)
    assert below(target) == before


def test_killed_in_the_middle_it_is_an_export_that_can_be_replaced(
    staged: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    put(staged({"model.bin": "old", "left.txt": "old"}), target, overwrite=False)
    (target / "mine.txt").write_text("mine")
    moved = module._replace

    def killed(file: Path, to: Path) -> None:
        if to.name != "model.bin":
            raise KeyboardInterrupt
        moved(file, to)

    monkeypatch.setattr(module, "_replace", killed)
    with pytest.raises(KeyboardInterrupt):
        put(staged(), target, overwrite=True)
    assert not same(target, "me")
    monkeypatch.undo()
    put(staged(), target, overwrite=True)
    assert below(target) == {**NEW, "mine.txt": "mine", MANIFEST: (target / MANIFEST).read_text()}
    assert sorted(manifest(target)["files"]) == sorted(NEW)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_file_that_a_person_changed_is_left(
    staged: Callable[..., Path], tmp_path: Path, lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", lang)
    target = tmp_path / "out"
    put(staged({"model.bin": "old", "README.md": "what it is"}), target, overwrite=False)
    (target / "README.md").write_text("what it is, and what I found out about it")
    with pytest.raises(ConflictError, match=r"README\.md"):
        put(staged(), target, overwrite=True)
    assert (target / "model.bin").read_text() == "old"
    (target / "README.md").rename(target / "mine.md")
    put(staged(), target, overwrite=True)
    assert (target / "mine.md").read_text().endswith("about it")


def test_a_persons_folders_and_links_stay(staged: Callable[..., Path], tmp_path: Path) -> None:
    target, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    (outside / "config.json").write_text("mine")
    put(staged({"model.bin": "old"}), target, overwrite=False)
    (target / "empty").mkdir()
    put(staged({"model.bin": "older"}), target, overwrite=True)
    assert (target / "empty").is_dir()
    # A link would be followed into a folder that no export knows.
    (target / "sub").symlink_to(outside)
    with pytest.raises(ConflictError, match="sub"):
        put(staged(), target, overwrite=True)
    assert (outside / "config.json").read_text() == "mine"
    assert (target / "model.bin").read_text() == "older"
    (target / "sub").unlink()
    (target / "sub" / "config.json").mkdir(parents=True)
    with pytest.raises(ConflictError, match=r"config\.json"):
        put(staged(), target, overwrite=True)
    assert (target / "model.bin").read_text() == "older"


def test_what_came_while_it_was_written_is_left(staged: Callable[..., Path], tmp_path: Path) -> None:
    target = tmp_path / "out"
    folder = staged()
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(ConflictError, match="no export"):
        put(folder, target, overwrite=False)
    assert below(target) == {"mine.txt": "mine"}


def test_a_link_to_an_empty_folder_and_a_mounted_one_are_filled(
    staged: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, link = tmp_path / "disk", tmp_path / "link"
    disk.mkdir()
    link.symlink_to(disk)
    put(staged(), link, overwrite=False)
    assert link.is_symlink()
    assert below(disk) == {**NEW, MANIFEST: (disk / MANIFEST).read_text()}
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    ismount = os.path.ismount
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == mounted or ismount(path))
    put(staged(), mounted, overwrite=False)
    assert same(mounted, "me")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_closed_to_this_person_is_said(closed_folder: Path, overwrite: bool) -> None:
    for target in (closed_folder, closed_folder / "out"):
        with pytest.raises(StoreError, match="can't be written"):
            refuse_taken(target, overwrite=overwrite)


def test_an_export_that_misses_a_file_is_not_the_same(staged: Callable[..., Path], tmp_path: Path) -> None:
    target = tmp_path / "out"
    put(staged(), target, overwrite=False)
    assert same(target, "me")
    assert not same(target, "another")
    (target / "model.bin").unlink()
    assert not same(target, "me")


def test_a_folder_without_a_manifest_is_not_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.setattr(module, "_files", lambda place: pytest.fail("a home folder may be exported into"))
    with pytest.raises(ConflictError, match="no export"):
        refuse_taken(tmp_path, overwrite=True)
