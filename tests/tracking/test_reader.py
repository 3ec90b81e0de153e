"""The reader: a W&B project's runs in the index, beside the ones of this store."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.standins.wandb import WandbStandIn

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.settings import current
from modelnook.store import Store
from modelnook.tracking.reader import Project, main, read_project
from modelnook.tracking.wandb import WandbTracker

Start = Callable[..., subprocess.Popen[bytes]]


def until(happens: Callable[[], Any], seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the reader as the server does; none outlives its test."""
    children: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "modelnook.tracking.reader", *arguments]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, env=dict(os.environ))
        children.append(child)
        return child

    yield run
    for child in children:
        child.kill()
        child.wait()
        if child.stdin:
            child.stdin.close()


def foreign(store: Store) -> dict[str, RunRecord]:
    return {r.id: r for r in store.index.runs() if r.origin == "wandb"}


def test_a_run_of_ours_comes_back_as_it_went(server: WandbStandIn, folder: Any, record: RunRecord) -> None:
    from dataclasses import replace

    tracker = WandbTracker(folder, lambda event: None)
    tracker.open(record)
    done = replace(record, metrics={"accuracy": 0.9}, intervals={"accuracy": (0.8, 0.95)}, model="local:topics@1")
    tracker.close(done)
    [read] = read_project(current())
    same = (
        "id",
        "name",
        "kind",
        "base",
        "model",
        "task",
        "method",
        "metrics",
        "intervals",
        "primary_metric",
        "version",
    )
    for name in same:
        assert getattr(read, name) == getattr(done, name), name
    assert (read.state, read.origin, read.host) == ("finished", "wandb", "carol")
    assert read.data == {"fingerprint": "f" * 64, "rows": 1780}
    assert read.wandb
    assert read.wandb["url"].endswith("/carol/modelnook/runs/ab12cd34")


def test_runs_of_other_tools_are_read_for_what_they_are(server: WandbStandIn) -> None:
    server.add_run(
        "hf1",
        display_name="trainer",
        config={"learning_rate": 2e-5},
        summary={"eval/loss": 0.3, "_step": 9},
        state="failed",
    )
    server.add_run("bare", state="preempted")
    runs = {r.id: r for r in read_project(current())}
    assert (runs["hf1"].metrics, runs["hf1"].params, runs["hf1"].state) == (
        {"eval/loss": 0.3},
        {"learning_rate": 2e-5},
        "failed",
    )
    assert runs["bare"].state == "crashed"


def test_a_project_that_isnt_there_has_no_runs(server: WandbStandIn) -> None:
    assert read_project(current()) == []


def test_only_runs_that_moved_are_read_whole(server: WandbStandIn) -> None:
    for n in range(5):
        server.add_run(f"r{n}", summary={"acc": n / 10}, state="finished")
    project = Project(current())
    assert len(project.read()) == 5
    before = len(server.seen("POST /graphql Run$"))
    project.read()
    assert len(server.seen("POST /graphql Run$")) == before
    server.runs["r3"].summary["acc"] = 0.99
    server.runs["r3"].heartbeat_at = "2026-12-01T00:00:00Z"
    assert {r.id: r.metrics["acc"] for r in project.read()}["r3"] == 0.99
    assert len(server.seen("POST /graphql Run$")) == before + 1


@pytest.mark.slow
def test_it_keeps_the_index_up_to_date_and_ends_with_its_starter(server: WandbStandIn, start: Start) -> None:
    store = Store()
    server.add_run("r1", display_name="colleague's", summary={"acc": 0.5}, state="finished")
    mine = RunRecord(id="mine", name="mine", kind="finetune", state="finished", created="2026-01-01T00:00:00Z")
    store.create_run(Recipe("finetune", "pip:x"), mine)
    server.add_run("mine", display_name="mine as W&B has it")
    child = start("--every", "0.2")
    until(lambda: "r1" in foreign(store))
    assert foreign(store)["r1"].metrics == {"acc": 0.5}
    assert "mine" not in foreign(store)
    settled = store.index.cursor()
    time.sleep(1.0)
    assert store.index.cursor() == settled
    server.add_run("r2")
    until(lambda: "r2" in foreign(store))
    del server.runs["r1"]
    until(lambda: "r1" not in foreign(store))
    server.stop()
    time.sleep(0.5)
    assert child.poll() is None
    assert "r2" in foreign(store)
    assert child.stdin
    child.stdin.close()
    assert child.wait(10) == 0


def test_it_ends_where_w_and_b_is_not_online(
    server: WandbStandIn, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert start().wait(20) == 0
    assert not server.requests


def test_it_asks_nobody_for_a_key(wandb_server: WandbStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", wandb_server.url)
    monkeypatch.setenv("WANDB_MODE", "online")
    assert main(["--once"]) == 2
    assert not wandb_server.requests
