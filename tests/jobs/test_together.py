"""Several processes that train one model: real ones on this CPU, over gloo, really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import modelnook as mn
from modelnook.domain.errors import ModelnookError, UsageError
from modelnook.jobs.submit import submit
from modelnook.run import Run
from modelnook.store import Store
from modelnook.testing.models import tiny_model

from .conftest import table


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny encoder without dropout: random numbers are each process's own."""
    folder = tiny_model(tmp_path_factory.mktemp("plain") / "base")
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def second(run: Run) -> psutil.Process:
    """The second process of a run that trains."""

    others: list[psutil.Process] = []

    def training() -> bool:
        record = run.record
        assert record.live, run.log()
        # A resumed run's record is the old one until its new worker writes.
        if record.pid is None or not psutil.pid_exists(record.pid) or (record.progress or {}).get("step", 0) <= 3:
            return False
        children = psutil.Process(record.pid).children()
        others[:] = [child for child in children if "modelnook.jobs.rank" in child.cmdline()]
        return len(others) == 1

    until(training)
    return others[0]


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_two_processes_train_as_one_does(plain: str) -> None:
    first = mn.finetune(plain, table(126), epochs=1, batch_size=4, name="first", on="kernel")
    recipe, split = first.folder.recipe(), first.folder.split()
    assert recipe is not None
    assert len(split["train"]) % 4 == 1, "one batch has fewer rows than there are processes"

    def trained(processes: int) -> Run:
        knobs = {**recipe.knobs, "epochs": 3.0, "learning_rate": 1e-3, "precision": "fp32", "processes": processes}
        made = replace(recipe, name=f"by{processes}", knobs=knobs)
        on = "process" if processes > 1 else "kernel"
        return submit(Store(), made, split=split, primary_metric="accuracy", on=on).wait(timeout=120)

    one, two = trained(1), trained(2)
    assert two.params["processes"] == 2
    assert "processes" not in first.params
    curves = [run.history() for run in (one, two)]
    assert (curves[0]["step"] == curves[1]["step"]).all()
    for name in ("loss", "eval_loss", "learning_rate"):
        np.testing.assert_allclose(curves[1][name], curves[0][name], rtol=1e-4, atol=1e-5, equal_nan=True)
    assert two.metrics == pytest.approx(one.metrics, rel=1e-3, abs=1e-3)
    assert list(mn.predict(two.model, ["hello"]).columns) == ["label", "score", "scores"]
    assert not (two.folder.path / "ranks").exists()


@pytest.mark.slow
def test_a_process_is_lost_then_the_worker_then_all_are_stopped(plain: str) -> None:
    run = mn.finetune(plain, table(256), epochs=400, name="long", background=True, processes=2, track="none")
    second(run).kill()
    with pytest.raises(ModelnookError) as caught:
        run.wait(timeout=60)
    assert caught.value.code == "jobs.rank_lost"
    assert "Process 2 of the 2" in caught.value.message
    assert run.state == "failed"
    assert run.resumable

    run.resume(background=True)
    other, pid = second(run), run.record.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: run.state == "crashed")
    until(lambda: gone(other), 15)

    run.resume(background=True)
    other = second(run)
    run.stop()
    assert run.wait(timeout=60).state == "stopped"
    assert run.model
    until(lambda: gone(other), 15)


def test_what_cannot_be_is_refused(plain: str) -> None:
    with pytest.raises(UsageError, match="processes"):
        mn.finetune(plain, table(32), processes=0)
    with pytest.raises(UsageError, match="on='kernel'"):
        mn.finetune(plain, table(32), processes=2, on="kernel")
    assert not len(mn.runs())


def test_a_batch_is_shared_out() -> None:
    import torch

    from modelnook.training.base import Place
    from modelnook.training.ranks import Ranks

    ranks = [Ranks(Place(rank, 3, 1), torch.device("cpu")) for rank in range(3)]
    assert [rank.share([9, 7, 5, 3]) for rank in ranks] == [[9, 3], [7], [5]]
    assert [rank.share([9]) for rank in ranks] == [[9], [], []]


def test_a_plan_is_read_back(tmp_path: Path) -> None:
    from modelnook.finetune.lengths import Lengths
    from modelnook.finetune.plan import Plan, plan

    made = plan(lengths=Lengths((8, 9), 0.0, 64), rows=100, classes=2, parameters=10_000)
    assert Plan.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_a_process_beside_a_worker_leaves_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook.jobs import followed
    from modelnook.store.lease import _start, me

    class Left(Exception):
        pass

    def left(code: int) -> None:
        raise Left

    monkeypatch.setattr("modelnook.jobs.followed.os._exit", left)
    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = str(_start(worker.pid))
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        worker.kill()
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)

    monkeypatch.setattr("modelnook.jobs.followed.time.sleep", nap)
    with pytest.raises(Left):
        followed.follow(str(worker.pid), began)
    assert len(naps) == 1, "it waited while the worker was there"
    worker.communicate()
    with pytest.raises(Left):
        followed.follow(str(os.getpid()), str(me().start - 1))
    assert len(naps) == 1, "the pid is another process's by now"


def test_a_run_ended_from_beside_closes_its_trackers_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from modelnook.domain.errors import ConflictError
    from modelnook.domain.recipe import Recipe
    from modelnook.domain.run import RunRecord
    from modelnook.jobs.recorder import Recorder

    store = Store(tmp_path)
    record = RunRecord(id="r1", name="a", kind="finetune", state="running")
    run = store.create_run(Recipe("finetune", "hub:a/b"), record, None)
    holder = run.lease.take(0)
    assert holder is not None
    recorder = Recorder(store, run, holder, record)
    seen: list[Any] = []
    recorder.before_end.append(lambda: seen.append(run.record()))
    monkeypatch.setattr("modelnook.jobs.recorder.os._exit", seen.append)
    recorder.leave(ConflictError("jobs.rank_lost", rank=1, count=2, code=-9))
    ended = run.record()
    assert ended is not None
    assert (ended.state, (ended.error or {})["code"]) == ("failed", "jobs.rank_lost")
    assert (seen[0].state, seen[1]) == ("running", 1)
    assert run.lease.holder() is None
