"""The probe: the same answers from a process of its own, and failures that say what happened."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelnook.domain.errors import StoreError, UnsupportedError
from modelnook.measure import LATE, STOPPED, race
from modelnook.measure.probe import NO_ROOM, main, measure, probe_args, read_probe
from modelnook.measure.race import race_args, read_race
from modelnook.runtime import runtime
from modelnook.store.files import folder_bytes
from modelnook.testing.models import tiny_model, tiny_rows

TASK = "text-classification"


@pytest.mark.slow
def test_a_child_measures_what_this_process_does(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model", ["a", "b"])
    texts = tiny_rows(40)["text"]
    (tmp_path / "rows.json").write_text(json.dumps(texts))
    arguments = probe_args(folder, tmp_path / "rows.json", tmp_path / "out", device="auto", seconds=0.1)
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    there = read_probe(tmp_path / "out", 0)
    here = measure(folder, texts, device="auto", seconds=0.1)
    # As it is when it is loaded without a word on that.
    assert there.device == here.device == there.figures()["device"] == runtime(folder, task=TASK).device
    assert there.labels == here.labels == ["a", "b"]
    assert there.bytes == here.bytes == folder_bytes(folder)
    assert there.outputs.shape == (40, 2)
    np.testing.assert_allclose(there.outputs, here.outputs, atol=1e-5)
    assert there.peak_memory_bytes
    assert there.figures().keys() == here.figures().keys()
    json.dumps(there.figures())


def test_what_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('["a"]')
    arguments = probe_args(tmp_path / "nothing", tmp_path / "rows.json", tmp_path / "out")
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    with pytest.raises(UnsupportedError, match=r"config\.json"):
        read_probe(tmp_path / "out", 1)


def test_what_a_library_fails_at_is_told_in_its_words_and_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model", ["a", "b"], layers=1)
    said = json.loads((folder / "tokenizer.json").read_text())
    # Words of which the model has no embedding.
    vocabulary = said["model"]["vocab"]
    said["model"]["vocab"] = {word: n + 10_000 * (word.isalpha()) for word, n in vocabulary.items()}
    (folder / "tokenizer.json").write_text(json.dumps(said))
    (tmp_path / "rows.json").write_text(json.dumps(tiny_rows(4)["text"]))
    with pytest.raises(IndexError):
        main(probe_args(folder, tmp_path / "rows.json", tmp_path / "out")[1:])
    with pytest.raises(UnsupportedError, match="couldn't be measured: IndexError: index out of range") as error:
        read_probe(tmp_path / "out", 1)
    assert error.value.code == "measure.failed"


@pytest.mark.parametrize("program", [main, race.main], ids=["probe", "race"])
def test_a_full_disk_is_not_taken_for_a_lack_of_memory(program: Any, small_disk: Path, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model", ["a", "b"], layers=1)
    (tmp_path / "rows.json").write_text(json.dumps(tiny_rows(4)["text"]))
    out = small_disk / "out"
    out.mkdir()
    (small_disk / "others").write_bytes(b"0" * shutil.disk_usage(small_disk).free)
    code = program(probe_args(folder, tmp_path / "rows.json", out, seconds=0.02)[1:])
    assert code == NO_ROOM
    if program is main:
        with pytest.raises(StoreError, match="no room left on the disk") as error:
            read_probe(out, code)
        assert error.value.code == "store.disk_full"


@pytest.mark.parametrize("read", [read_probe, read_race])
@pytest.mark.parametrize(
    ("code", "key"), [(-9, "measure.killed"), (STOPPED, "measure.stopped"), (LATE, "measure.late")]
)
def test_a_child_that_left_nothing(tmp_path: Path, code: int, key: str, read: Any) -> None:
    with pytest.raises(UnsupportedError) as error:
        read(tmp_path, code)
    assert error.value.code == key


@pytest.mark.slow
def test_a_race_times_each_in_a_process_of_its_own(tmp_path: Path) -> None:
    folders = [tiny_model(tmp_path / f"model-{layers}", ["a", "b"], layers=layers) for layers in (1, 6)]
    (tmp_path / "rows.json").write_text(json.dumps(tiny_rows(40)["text"]))
    arguments = race_args(folders, tmp_path / "rows.json", tmp_path / "out", seconds=0.2)
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    small, large = read_race(tmp_path / "out", 0)
    assert 0 < small.p50_ms <= small.p95_ms
    assert small.rows_per_s > large.rows_per_s
    with pytest.raises(UnsupportedError):
        read_race(tmp_path / "nothing", -9)
