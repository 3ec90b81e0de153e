"""What a child's environment says: the kernels of every length of a batch are not all kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from modelnook.domain.errors import StoreError
from modelnook.jobs.process import DEFAULTS, call, environment
from modelnook.measure import LATE, STOPPED
from modelnook.store import Store
from modelnook.training.device import native_bf16

from .conftest import until

GROWTH = """
import torch
torch.set_num_threads(1)
def held():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
layers = [torch.nn.Linear(96, wide).bfloat16() for wide in (16, 96, 384)]
def passes(lengths):
    for length in lengths:
        rows = torch.ones(16 * length, 96, dtype=torch.bfloat16, requires_grad=True)
        sum(layer(rows).float().sum() for layer in layers).backward()
passes([400])
before = held()
passes(range(1, 200))
print(held() - before)
"""


def grown(environ: dict[str, str]) -> int:
    done = subprocess.run([sys.executable, "-c", GROWTH], check=True, capture_output=True, text=True, env=environ)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not (sys.platform == "linux" and native_bf16("cpu")), reason="this CPU has no kernels for bfloat16")
def test_lengths_that_are_over_leave_little_behind_in_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    assert grown(environment(Store())) < 0.5 * grown(dict(os.environ))


def test_what_a_person_has_set_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    seen = environment(Store())
    assert (seen["LRU_CACHE_CAPACITY"], seen["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) == ("7", "256")


def test_a_child_that_takes_too_long_is_told_from_one_that_was_stopped(tmp_path: Path) -> None:
    store, log = Store(), tmp_path / "log"
    sleeps = ["timeit", "-n", "1", "-r", "1", "-s", "import time", "time.sleep(60)"]
    assert call(sleeps, store, log, timeout=0.2) == LATE
    assert call(sleeps, store, log, stop=lambda: True) == STOPPED
    assert call(["timeit", "-n", "1", "pass"], store, log) == 0
    assert b"loop" in log.read_bytes()
    gone = Store(tmp_path / "gone")
    shutil.rmtree(gone.home)
    with pytest.raises(StoreError) as caught:
        call(sleeps, gone, log)
    assert caught.value.code == "jobs.no_process"


def test_what_measures_ends_with_its_worker_however_that_ends(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    sleeps = ["timeit", "-n", "1", "-s", f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid()))"]
    code = (
        "from pathlib import Path; from modelnook.jobs.process import call; from modelnook.store import Store;"
        f"call({[*sleeps, 'time.sleep(60)']!r}, Store(), Path({str(tmp_path / 'log')!r}))"
    )
    worker = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: told.is_file() and told.read_text())
    child = psutil.Process(int(told.read_text()))
    worker.kill()
    worker.wait()
    child.wait(20)
