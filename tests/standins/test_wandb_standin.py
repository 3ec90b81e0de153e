"""The W&B stand-in against the real wandb client, wandb-core included."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import wandb

from tests.standins.wandb import KEY, WandbStandIn

pytestmark = pytest.mark.usefixtures("isolated_home", "no_network")


@pytest.fixture
def server(wandb_server: WandbStandIn, isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> WandbStandIn:
    monkeypatch.setenv("WANDB_BASE_URL", wandb_server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    return wandb_server


def start(run_id: str, **options: Any) -> Any:
    # Rows leave the process only when both intervals have passed; below one second the first means the default, 15.
    quick: Any = {"x_file_stream_transmit_interval": 1, "x_transaction_log_flush_interval": 0.2}
    settings = wandb.Settings(console="off", x_disable_stats=True, x_save_requirements=False, **quick)
    return wandb.init(project="p", id=run_id, settings=settings, **options)


def until(condition: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_run_goes_up_and_is_resumed(server: WandbStandIn) -> None:
    run = start("r1", name="first", tags=["t"], config={"lr": 0.1})
    for step in range(5):
        run.log({"loss": 1.0 / (step + 1)}, step=step)
    run.summary["accuracy"] = 0.9
    run.finish()
    there = server.runs["r1"]
    assert (there.state, there.display_name, there.tags, there.values) == ("finished", "first", ["t"], {"lr": 0.1})
    assert [row["loss"] for row in server.history("r1")] == [1.0, 0.5, 1 / 3, 0.25, 0.2]
    assert there.summary["accuracy"] == 0.9
    assert "config.yaml" in there.files

    again = start("r1", resume="must")
    assert again.resumed
    again.log({"loss": 0.1}, step=5)
    again.finish(exit_code=3)
    assert [row["_step"] for row in server.history("r1")] == [0, 1, 2, 3, 4, 5]
    assert (there.state, there.exit_code) == ("failed", 3)
    assert not server.unknown


def test_api_reads_runs_and_histories(server: WandbStandIn) -> None:
    for n in range(4):
        rows = [{"loss": 1.0 - k / 2000, "_timestamp": k} for k in range(2000)]
        server.add_run(f"r{n}", project="p", config={"lr": n}, summary={"acc": n / 10}, rows=rows, state="finished")
    api = wandb.Api(timeout=5)
    runs = api.runs("carol/p", order="-created_at", per_page=3)
    assert [run.id for run in runs] == ["r3", "r2", "r1", "r0"]
    assert [r.config for r in api.runs("carol/p", {"config.lr": {"$gt": 1}}, lazy=False)] == [{"lr": 2}, {"lr": 3}]
    assert [r.id for r in api.runs("carol/p", {"$or": [{"summary_metrics.acc": 0.1}, {"name": "r3"}]})] == ["r1", "r3"]
    run = api.run("carol/p/r2")
    assert (run.summary["acc"], run.state) == (0.2, "finished")
    assert len(run.history(samples=100, keys=["loss"], pandas=False)) == 100
    assert sum(1 for _ in run.scan_history(keys=["_step", "loss"], page_size=700)) == 2000
    assert [p.name for p in api.projects("carol")] == ["p"]
    with pytest.raises(ValueError, match="Could not find project"):
        list(api.runs("carol/none"))
    assert not server.unknown


def test_lightweight_runs_have_no_heavy_fields(server: WandbStandIn) -> None:
    server.add_run("r1", project="p", config={"lr": 1})
    [run] = wandb.Api(timeout=5).runs("carol/p")
    before = len(server.seen("POST /graphql Run$"))
    assert run.config == {"lr": 1}
    assert len(server.seen("POST /graphql Run$")) == before + 1


@pytest.mark.slow
def test_an_offline_run_is_synced(server: WandbStandIn, isolated_home: Path) -> None:
    run = start("off1", mode="offline", config={"lr": 0.5})
    for step in range(3):
        run.log({"loss": float(step)}, step=step)
    folder = Path(run.dir).parent
    run.finish()
    assert not server.requests
    command = [sys.executable, "-m", "wandb", "sync", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [row["loss"] for row in server.history("off1")] == [0.0, 1.0, 2.0]
    assert server.runs["off1"].state == "finished"
    assert list(folder.glob("*.wandb.synced"))


def test_a_bad_key_is_refused(server: WandbStandIn) -> None:
    server.keys = {"another" * 6}
    with pytest.raises(wandb.errors.CommError):
        start("r1", force=True)
    assert not server.runs


@pytest.mark.slow
def test_survives_an_outage_in_mid_run(server: WandbStandIn) -> None:
    run = start("r1")
    run.log({"loss": 1.0}, step=0, commit=True)
    until(lambda: server.runs["r1"].history)
    server.stop()
    run.log({"loss": 0.5}, step=1, commit=True)
    time.sleep(0.5)
    server.start()
    run.log({"loss": 0.25}, step=2)
    run.finish()
    assert [row["loss"] for row in server.history("r1")] == [1.0, 0.5, 0.25]


@pytest.mark.slow
def test_fails_by_operation_and_answers_late(server: WandbStandIn) -> None:
    server.fail("POST /graphql UpsertBucket", 500, times=1)
    server.slow("POST /graphql RunResumeStatus", 0.2, times=1)
    run = start("r1", resume="allow")
    run.finish()
    assert [r.status for r in server.seen("UpsertBucket")][:2] == [500, 200]
