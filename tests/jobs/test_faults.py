"""Jobs that are stopped, killed, frozen, raced and starved. Every process here is real and really killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.standins.wandb import WandbStandIn

import modelnook as mn
from modelnook import cards, rpc
from modelnook.catalog.folder import describe
from modelnook.domain.errors import ConflictError, ModelnookError
from modelnook.jobs import warm
from modelnook.jobs.submit import submit
from modelnook.live import bundle
from modelnook.run import Run
from modelnook.settings import save_sources
from modelnook.store import Store

from .conftest import table, until

pytestmark = pytest.mark.slow

LONG: dict[str, Any] = {"epochs": 400, "name": "long", "background": True}


def training(run: Run) -> bool:
    record = run.record
    assert record.state in ("queued", "running"), run.log()
    return (record.progress or {}).get("phase") == "training" and (record.progress or {}).get("step", 0) > 3


def started(tiny: str, **more: Any) -> Run:
    run = mn.finetune(tiny, table(256), **{**LONG, **more})
    until(lambda: training(run))
    return run


def has_checkpoint(run: Run) -> bool:
    return any(p.is_dir() and not p.name.startswith(".") for p in run.folder.checkpoints.glob("*"))


def kill(run: Run) -> None:
    pid = run.record.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: run.state == "crashed")


@pytest.mark.usefixtures("logged")
def test_stop_keeps_a_usable_model(tiny: str) -> None:
    run = started(tiny)
    mn.stop(run.id)
    run.wait(timeout=300)
    assert run.state == "stopped"
    assert run.metrics["accuracy"] >= 0
    assert len(mn.predict(run.model, ["hello"])) == 1
    with pytest.raises(ConflictError, match="not running"):
        run.stop()


def test_interrupting_the_wait_stops_and_gives_the_model(tiny: str) -> None:
    run = started(tiny)
    threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGINT)).start()
    done = run.wait(timeout=300)
    assert done.state == "stopped"
    assert done.model


@pytest.mark.usefixtures("logged")
def test_a_killed_job_reads_crashed_and_resumes(tiny: str) -> None:
    run = started(tiny, epochs=24)
    until(lambda: has_checkpoint(run) or not run.record.live)
    kill(run)
    with pytest.raises(ConflictError) as caught:
        run.wait()
    assert "resume" in caught.value.hint
    assert run.resumable
    before = int(run.history()["step"].max())
    resumed = mn.resume(run.id)
    assert resumed.state == "finished"
    steps = list(resumed.series.read("loss")[0::3])
    assert steps == sorted(set(steps)), "what was done after the checkpoint stands there once"
    assert steps[-1] > before
    with pytest.raises(ConflictError, match="can't be resumed"):
        mn.resume(run.id)


@pytest.mark.parametrize(
    # As many epochs as leave time to see a checkpoint: frozen layers run once, the steps on them take next to none.
    ("method", "epochs"),
    [("full", 8), ("lora", 8), ("dora", 5), ("head", 24), ("last-k", 8), ("few-shot", 3)],
)
def test_a_job_that_was_killed_ends_with_the_same_weights(tiny: str, method: str, epochs: int) -> None:
    """SIGKILL in mid-training, after a checkpoint; the same training without it is the measure."""
    first = mn.finetune(tiny, table(256), method=method, name=f"base-{method}", epochs=1)
    recipe = first.folder.recipe()
    assert recipe is not None

    def begun(name: str, every: float) -> Run:
        knobs = {**recipe.knobs, "epochs": epochs, "checkpoint_every_s": every}
        return submit(Store(), replace(recipe, name=name, knobs=knobs), split=first.folder.split(), again=True)

    whole = begun(f"whole-{method}", 300.0).wait(timeout=300)
    broken = begun(f"broken-{method}", 0.01)
    until(lambda: any(broken.folder.checkpoints.glob("step-*/manifest.json")) or not broken.record.live, look=0.005)
    kill(broken)
    kept = max(int(path.parent.name.split("-")[1]) for path in broken.folder.checkpoints.glob("step-*/manifest.json"))
    again = mn.resume(broken.id)
    assert (again.state, whole.state) == ("finished", "finished")
    assert 0 < kept < again.params["steps"]
    weights = [Path(mn.info(run.model or "").path or "") / "model.safetensors" for run in (whole, again)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert again.metrics == whole.metrics


def test_of_two_resumes_one_wins(tiny: str) -> None:
    run = started(tiny, epochs=60)
    kill(run)
    outcomes: list[str] = []

    def go() -> None:
        try:
            Run(Store(), run.id).resume(background=True)
            outcomes.append("won")
        except ConflictError:
            outcomes.append("lost")

    racers = [threading.Thread(target=go) for _ in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(outcomes) == ["lost", "won"]
    run.stop()
    run.wait(timeout=300)


def test_a_frozen_job_still_runs(tiny: str) -> None:
    run = started(tiny, epochs=15)
    pid = run.record.pid
    assert pid is not None
    files = (run.folder.path / "state.json", run.folder.path / "lease" / "heartbeat")
    until(lambda: all(file.exists() for file in files))
    os.kill(pid, signal.SIGSTOP)
    try:
        # Longer than between two signs of life; the two minutes after which they count are said, not waited for.
        old = time.time() - 130
        until(lambda: _state(pid) == "T")
        for file in files:
            os.utime(file, (old, old))
        time.sleep(3)
        assert {file.stat().st_mtime for file in files} == {old}, "it does nothing"
        assert (run.state, mn.runs(query="long")[0].state) == ("running", "running")
        with pytest.raises(ConflictError):
            run.resume(background=True)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert run.wait(timeout=300).state == "finished"
    assert run.folder.lease.epoch() == 1, "the same worker"


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_the_job_outlives_the_kernel(tiny: str, tmp_path: Path) -> None:
    code = (
        "import modelnook as mn, os, signal, time\n"
        "from tests.jobs.conftest import table\n"
        f"run = mn.finetune({tiny!r}, table(256), epochs=15, name='orphan', background=True)\n"
        "print(run.id, flush=True)\n"
        "while (run.record.progress or {}).get('phase') != 'training': time.sleep(0.05)\n"
        "os.killpg(os.getpgid(0), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    kernel = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True, cwd=root, text=True
    )
    out, _ = kernel.communicate(timeout=90)
    assert kernel.returncode == -signal.SIGKILL
    run = mn.runs(query="orphan")[0]
    assert run.id == out.strip()
    assert run.wait(timeout=120).state == "finished"


def test_the_second_of_two_kernels_waits_for_the_device(tiny: str) -> None:
    first = started(tiny)
    code = (
        "import modelnook as mn\nfrom tests.jobs.conftest import table\n"
        f"print(mn.finetune({tiny!r}, table(64, seed=5), name='second', epochs=1, track='none').state)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], text=True) as kernel:
        until(lambda: [r for r in mn.runs(query="second") if r.folder.lease.live()])
        second = mn.runs(query="second")[0]
        time.sleep(1.0)
        assert (first.state, second.state) == ("running", "queued")
        first.stop()
        assert kernel.communicate(timeout=120)[0].split() == ["finished"]
    assert (first.state, second.state) == ("stopped", "finished")


def test_a_failure_does_not_stop_the_rest_of_the_queue(tiny: str) -> None:
    first = started(tiny)
    rows = table(64, seed=5)
    second = mn.finetune(tiny, rows, name="second", epochs=5, learning_rate=1e30, background=True)
    third = mn.finetune(tiny, rows, name="third", epochs=400, background=True)
    fourth = mn.finetune(tiny, rows, name="fourth", epochs=1, background=True)
    until(lambda: all(run.folder.lease.live() for run in (second, third, fourth)))
    first.stop()
    until(lambda: third.record.state == "running" or not third.record.live)
    kill(third)
    assert fourth.wait(timeout=120).state == "finished"
    assert second.state == "failed"
    assert "learning_rate" in str(second.record.error)
    assert (first.state, third.state) == ("stopped", "crashed")


def test_a_queued_run_can_be_stopped(tiny: str) -> None:
    first = started(tiny)
    second = mn.finetune(tiny, table(64, seed=6), name="second", epochs=1, background=True)
    until(lambda: second.folder.lease.live())
    second.stop()
    assert second.wait(timeout=60).state == "stopped"
    assert second.model is None
    first.stop()
    first.wait(timeout=90)


def test_the_same_recipe_while_it_runs_attaches(tiny: str) -> None:
    first = started(tiny)
    second = mn.finetune(tiny, table(256), **LONG)
    assert second.id == first.id
    assert first.id in second.note
    first.stop()
    first.wait(timeout=90)


def test_rows_changed_after_the_start_do_not_reach_the_job(tiny: str) -> None:
    rows = table(64)
    run = mn.finetune(tiny, rows, name="frozen-rows", epochs=1, background=True)
    for row in rows:
        row["label"] = "changed"
    del rows
    done = run.wait(timeout=120)
    assert set(mn.info(done.model or "").labels) == {"ham", "spam"}


def test_who_was_taken_over_ends_without_writing(tiny: str) -> None:
    run = started(tiny)
    worker = run.record.pid
    taken = run.folder.lease.take(run.folder.lease.epoch())
    assert taken is not None
    record = run.folder.record()
    assert record is not None
    run.folder.write(replace(record, state="failed", notebook="mine"), epoch=taken.epoch)
    until(lambda: not _alive(worker))
    last = run.folder.record()
    assert last is not None
    assert (last.state, last.notebook) == ("failed", "mine")


def _alive(pid: int | None) -> bool:
    from modelnook.jobs.process import reap

    reap()
    return pid is not None and Path(f"/proc/{pid}").exists()


def test_an_interpreter_that_is_gone_is_told(tiny: str) -> None:
    run = started(tiny)
    kill(run)
    recipe = run.folder.recipe()
    assert recipe is not None
    from modelnook.store.files import write_json

    write_json(run.folder.path / "recipe.json", replace(recipe, python="/no/such/python").to_dict())
    with pytest.raises(ModelnookError, match="is gone"):
        mn.resume(run.id)


def test_a_token_is_in_nothing_that_a_run_writes(
    tiny: str, private: Path, store_home: Path, wandb_server: WandbStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    # W&B's client takes a key of 40 characters alone.
    canary, key = "hf_canary0123456789abcdefghijklmnopqrs", "c0ffee0123456789abcdef0123456789c0ffee42"
    for name, token in (("HF_TOKEN", canary), ("WANDB_API_KEY", key), ("MY_HUB_TOKEN", canary)):
        monkeypatch.setenv(name, token)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MODELNOOK_WARM", "1")
    save_sources(lambda _: [{"name": "ours", "url": "http://127.0.0.1:9", "kind": "hub", "token_env": "MY_HUB_TOKEN"}])
    run = mn.finetune(tiny, table(48), name="canary", epochs=1)
    assert run.state == "finished"
    assert warm.pid(store_home), "the next is forked from a process that has the token in its environment"
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", wandb_server.url)
    online = mn.finetune(tiny, table(48, seed=1), name="canary", epochs=1)
    assert (online.state, (online.record.wandb or {})["synced"]) == ("finished", True)
    monkeypatch.setenv("WANDB_MODE", "offline")
    judged = mn.evaluate("canary", table(24, seed=2))
    small = mn.quantize("canary", backend="torchao", max_drop=1, budget="1s")
    told = {method: rpc.call(method, {"run": run.id}) for method in ("run", "history", "log")}
    told |= {method: rpc.call(method, {}) for method in ("runs", "list", "settings", "sources", "cache", "facets")}
    assert "ours" in json.dumps(told["sources"])
    said = [cards.html(judged), json.dumps(told)]
    for one in (run, online, small):
        said += [*bundle(one).values(), *map(str, one.folder.events())]
    assert all(said)
    for text in (*said, run.code(), *(str((r.path, r.query, r.body)) for r in wandb_server.requests)):
        assert canary not in text
        assert key not in text
    warm.end(store_home)
    # Home, store, W&B's folders and caches, the hub's cache, and what is left in the folder of temporary files.
    files = [p for folder in (store_home.parents[1], private) for p in folder.rglob("*") if p.is_file()]
    for file in files:
        held = file.read_bytes()
        assert canary.encode() not in held, file
        assert key.encode() not in held, file


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of temporary files of this test alone, near the root: sockets in it have short names only."""
    folder = Path(tempfile.mkdtemp())
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(place)], check=False).returncode:
        pytest.skip("may not mount a tmpfs here")
    monkeypatch.setenv("MODELNOOK_HOME", str(place / "home"))
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def test_a_full_disk_fails_a_job_which_goes_on_when_there_is_room(small_disk: Path, tiny: str) -> None:
    shutil.copytree(tiny, copy := small_disk / "copy")
    Store().models.add("base", copy, describe(copy, ref="", id="base", source="local"))
    run = started("base", epochs=30)
    until(lambda: has_checkpoint(run))
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    with pytest.raises(ModelnookError, match="no room left on the disk") as caught:
        run.wait(timeout=300)
    assert (run.state, caught.value.code) == ("failed", "store.disk_full")
    assert shutil.disk_usage(small_disk).free < 100_000, "still full"
    assert mn.runs()[0].state == "failed"
    assert "no room left" in cards.text(run)
    before = int(run.history()["step"].max())
    weights = [Path(mn.info("base").path or ""), Path(tiny)]
    assert len({(folder / "model.safetensors").read_bytes() for folder in weights}) == 1
    filler.unlink()
    resumed = mn.resume(run.id)
    assert resumed.state == "finished"
    steps = resumed.history()["step"]
    assert steps.is_unique
    assert steps.max() > before
    assert len(mn.predict(resumed.model, ["hello"])) == 1
