"""Workers that are forked from a process that has the imports: the same work, in a process of its own, that ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from safetensors.numpy import load_file

import modelnook as mn
from modelnook.jobs import process, warm
from modelnook.run import Run
from modelnook.store import Store

from .conftest import table

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")]


@pytest.fixture(autouse=True)
def _warm(monkeypatch: pytest.MonkeyPatch, store_home: Path) -> Iterator[None]:
    monkeypatch.setenv("MODELNOOK_WARM", "1")
    yield
    warm.end(store_home)


def until(condition: Callable[[], object], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def trained(tiny: str, **more: object) -> Run:
    return mn.finetune(tiny, table(96), epochs=2, again=True, track="none", **more)  # type: ignore[no-any-return]


def weights(run: Run) -> dict[str, bytes]:
    path = Path(mn.info(run.model).path or "")
    return {name: array.tobytes() for name, array in load_file(path / "model.safetensors").items()}


def test_the_second_job_is_forked_and_gives_the_same_weights(tiny: str, store_home: Path) -> None:
    cold = trained(tiny)
    waiting = warm.pid(store_home)
    assert waiting is not None
    second = trained(tiny, background=True)
    until(lambda: second.record.pid)
    worker = psutil.Process(second.record.pid or 0)
    assert worker.ppid() == waiting
    assert os.getsid(worker.pid) == worker.pid
    second.wait()
    assert weights(second) == weights(cold)
    until(lambda: not worker.is_running())
    assert warm.pid(store_home) == waiting


def test_a_forked_worker_stops_and_is_killed_like_any_other(tiny: str, store_home: Path) -> None:
    trained(tiny)
    run = mn.finetune(tiny, table(256), epochs=400, again=True, background=True, track="none")
    until(lambda: (run.record.progress or {}).get("step", 0) > 3)
    run.stop()
    assert run.wait(timeout=300).state == "stopped"
    run = mn.finetune(tiny, table(256), epochs=401, again=True, background=True, track="none")
    until(lambda: (run.record.progress or {}).get("step", 0) > 3)
    os.kill(run.record.pid or 0, signal.SIGKILL)
    until(lambda: run.state == "crashed")
    assert warm.pid(store_home) is not None


def test_another_environment_gets_a_process_of_its_own(
    tiny: str, store_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tiny)
    first = warm.pid(store_home)
    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS_WARNING", "1")
    run = trained(tiny)
    assert run.state == "finished"
    # The newer takes the place of the older: one a store.
    until(lambda: warm.pid(store_home) not in (None, first))
    until(lambda: not psutil.pid_exists(first or 0) or psutil.Process(first).status() == psutil.STATUS_ZOMBIE)
    monkeypatch.setenv("JPY_SESSION_NAME", "other.ipynb")
    path = warm.place(store_home, sys.executable, process.environment(Store()))
    assert path is not None
    assert path.exists()


def test_a_dead_one_is_replaced(tiny: str, store_home: Path) -> None:
    trained(tiny)
    first = warm.pid(store_home)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: warm.pid(store_home) is None)
    assert trained(tiny).state == "finished"
    until(lambda: warm.pid(store_home) not in (None, first))


def test_it_ends_with_its_store(tiny: str, store_home: Path) -> None:
    trained(tiny)
    waiting = warm.pid(store_home)
    assert waiting is not None
    (store_home / "warm").rename(store_home / "gone")
    until(lambda: not psutil.pid_exists(waiting))


def test_switched_off_nothing_stays(tiny: str, store_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_WARM", "0")
    assert trained(tiny).state == "finished"
    assert warm.pid(store_home) is None
    assert not (store_home / "warm").exists()


def test_ps_shows_it_and_unload_ends_it(tiny: str, store_home: Path) -> None:
    # A tuning leaves one as well.
    mn.tune(tiny, table(96), trials=2, epochs=1, space="quick", track="none")
    waiting = warm.pid(store_home)
    rows = mn.ps().to_frame()
    assert rows.loc[rows["pid"] == waiting, "state"].tolist() == ["warm"]
    mn.unload()
    assert warm.pid(store_home) is None


def test_what_a_library_makes_at_its_first_model_is_made_before_the_fork() -> None:
    code = (
        "import sys; from modelnook.jobs import warm; warm.bring_in(list(warm.TABLES));"
        "table = sys.modules['transformers.conversion_mapping'].get_checkpoint_conversion_mapping;"
        "called = []; sys.setprofile(lambda frame, event, arg: called.append(event)); table('bert');"
        "sys.setprofile(None); print(len(called))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 1000, "to make it anew takes two hundred thousand calls"


def test_a_store_may_lie_deep(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 100) / ("e" * 100) / "socket"
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        with warm._short(path) as address:
            listener.bind(address)
        listener.listen(1)
        assert path.is_socket()
        with warm._short(path) as address:
            caller.connect(address)
