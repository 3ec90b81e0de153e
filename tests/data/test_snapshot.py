"""Snapshots: shared by content, whole or absent, private, and the same whatever the rows came from."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from modelnook.data import snapshot as room
from modelnook.data.frame import Rows
from modelnook.data.read import read
from modelnook.data.snapshot import fingerprint, load_snapshot, open_snapshot, release, snapshot
from modelnook.domain.dataset import Columns
from modelnook.domain.errors import DataError, NotFoundError, StoreError

BOTH = Columns.of(text="text", label="label")


def _rows(count: int = 5) -> Rows:
    return Rows({"text": [f"第 {i} 行" for i in range(count)], "label": [i % 2 for i in range(count)]}, name="reviews")


def test_round_trip(tmp_path: Path) -> None:
    rows = Rows(
        {
            "body": ["a", None, "", "中文"],
            "y": [1, None, 0, 1],
            "w": [0.5, 1.5, None, 2.0],
            "tags": [["x"], [], None, ["y", "z"]],
            "flag": [True, False, None, True],
            "unused": [object()] * 4,
        }
    )
    ref = snapshot(rows, Columns.of(text="body", label="y", weight="w", ner_tags="tags", keep="flag"), tmp_path)
    assert ref.rows == 4
    assert ref.columns["text"] == "body"
    assert load_snapshot(ref, tmp_path) == {
        "text": ["a", None, "", "中文"],
        "label": [1, None, 0, 1],
        "weight": [0.5, 1.5, None, 2.0],
        "ner_tags": [["x"], [], None, ["y", "z"]],
        "keep": [True, False, None, True],
    }


def test_ids_of_the_table_are_kept(tmp_path: Path) -> None:
    some = _rows(9).take([8, 2, 5])
    ref = snapshot(some, BOTH, tmp_path)
    again = open_snapshot(ref, tmp_path)
    assert again.ids.tolist() == [8, 2, 5]
    assert again.take([5]).column("text") == ["第 5 行"]
    assert ref.fingerprint != snapshot(read(some.to_frame()), BOTH, tmp_path).fingerprint


def test_what_the_fingerprint_sees() -> None:
    def of(**columns: list[object]) -> str:
        return fingerprint(Rows(columns), Columns(tuple((n, n) for n in sorted(columns)))).sha256

    base = of(text=["a", "bc"], label=[1, 2])
    assert of(text=["ab", "c"], label=[1, 2]) != base
    assert of(text=["bc", "a"], label=[2, 1]) != base
    assert of(text=["a", "bc"], label=["1", "2"]) != base
    assert of(text=["a", "bc"], label=[1, None]) != base
    assert of(text=["a", ""], label=[1, 2]) != of(text=["a", None], label=[1, 2])
    assert of(tokens=[["a"], ["b", "c"]]) != of(tokens=[["a", "b"], ["c"]])
    assert of(messages=[[{"role": "user", "content": "a"}]]) == of(messages=[[{"content": "a", "role": "user"}]])


def test_layout_does_not_count() -> None:
    texts = [f"行 {i}" for i in range(100)] + [None]
    forms = [
        pa.table({"text": texts}),
        pa.table({"text": pa.chunked_array([texts[:7], texts[7:50], texts[50:]])}),
        pa.table({"text": pa.array([None, "junk", *texts]).slice(2)}),
        pa.table({"text": pa.array(texts).dictionary_encode()}),
        pd.DataFrame({"text": pd.Series(texts, dtype="category")}),
    ]
    assert len({fingerprint(read(f), Columns.of(text="text")).sha256 for f in forms}) == 1


def test_the_same_rows_are_one_folder_written_once(tmp_path: Path) -> None:
    ref = snapshot(_rows(), BOTH, tmp_path)
    path = tmp_path / "data" / ref.fingerprint / "data.arrow"
    before = path.stat().st_mtime_ns
    assert snapshot(_rows(), BOTH, tmp_path) == ref
    assert path.stat().st_mtime_ns == before
    assert sorted(f.name for f in path.parent.iterdir()) == ["data.arrow", "meta.json"]
    assert [f.name for f in (tmp_path / "data").iterdir()] == [ref.fingerprint]


def test_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        ref = snapshot(_rows(), BOTH, tmp_path)
    finally:
        os.umask(old)
    folder = tmp_path / "data" / ref.fingerprint
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(f.stat().st_mode) for f in folder.iterdir()} == {0o600}


def test_numbers_as_texts_and_what_is_no_text(tmp_path: Path) -> None:
    ref = snapshot(Rows({"text": [1, 2], "label": [0, 1]}), BOTH, tmp_path)
    assert load_snapshot(ref, tmp_path)["text"] == ["1", "2"]
    with pytest.raises(DataError, match="Column 'text' holds list"):
        snapshot(Rows({"text": [["a"], ["b"]], "label": [0, 1]}), BOTH, tmp_path)


def test_release_with_the_last_run(tmp_path: Path) -> None:
    ref = snapshot(_rows(), BOTH, tmp_path)
    assert not release(ref.fingerprint, tmp_path, used_by=["run-1"])
    assert load_snapshot(ref, tmp_path)["label"][1] == 1
    assert release(ref.fingerprint, tmp_path, used_by=[])
    assert not release(ref.fingerprint, tmp_path)
    assert not release("..", tmp_path)
    assert list((tmp_path / "data").iterdir()) == []
    with pytest.raises(NotFoundError, match="were removed"):
        load_snapshot(ref, tmp_path)


def test_a_damaged_one_is_said_and_written_anew(tmp_path: Path) -> None:
    ref = snapshot(_rows(), BOTH, tmp_path)
    path = tmp_path / "data" / ref.fingerprint / "data.arrow"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match="is damaged"):
        load_snapshot(ref, tmp_path)
    assert snapshot(_rows(), BOTH, tmp_path) == ref
    assert len(load_snapshot(ref, tmp_path)["text"]) == 5


def _write_one(home: str, start: float) -> None:
    time.sleep(max(0.0, start - time.time()))
    for count in (5, 2_000):
        snapshot(_rows(count), BOTH, Path(home))


@pytest.mark.slow
def test_writers_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = time.time() + 3
    writers = [context.Process(target=_write_one, args=(str(tmp_path), start)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [w.exitcode for w in writers] == [0, 0, 0]
    assert len(list((tmp_path / "data").iterdir())) == 2
    assert len(load_snapshot(snapshot(_rows(2_000), BOTH, tmp_path), tmp_path)["text"]) == 2_000


def test_another_writer_wins_in_mid_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    ref = snapshot(_rows(), BOTH, other)
    write = room._write_table

    def slow(path: Path, table: pa.Table) -> int:
        shutil.copytree(other / "data" / ref.fingerprint, tmp_path / "data" / ref.fingerprint)
        return write(path, table)

    monkeypatch.setattr(room, "_write_table", slow)
    assert snapshot(_rows(), BOTH, tmp_path) == ref
    assert [f.name for f in (tmp_path / "data").iterdir()] == [ref.fingerprint]


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a tiny disk needs root on Linux")
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    home = tmp_path / "disk"
    home.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(home)], check=False).returncode:
        pytest.skip("may not mount a tmpfs here")
    try:
        with pytest.raises(StoreError, match="no room left on the disk"):
            snapshot(_rows(50_000), BOTH, home)
        assert list((home / "data").iterdir()) == []
        assert load_snapshot(snapshot(_rows(), BOTH, home), home)["label"] == [0, 1, 0, 1, 0]
    finally:
        subprocess.run(["umount", str(home)], check=True)


def test_a_failing_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, table: pa.Table) -> int:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room, "_write_table", full)
    with pytest.raises(StoreError, match="no room left"):
        snapshot(_rows(), BOTH, tmp_path)
    assert list((tmp_path / "data").iterdir()) == []
