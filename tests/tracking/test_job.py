"""A real job whose model comes from a hub and whose record goes to W&B, both on loopback."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import needed
from tests.standins.hub import HubStandIn
from tests.standins.wandb import KEY, WandbStandIn

import modelnook as mn
from modelnook.cli import main
from modelnook.jobs.sync import sync
from modelnook.settings import current
from modelnook.store import Store
from modelnook.testing.models import tiny_model
from modelnook.tracking.reader import read_project

pytestmark = pytest.mark.slow

CANARY = "zq7canary"


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """Texts and labels that must not leave the machine."""
    return [{"body": f"{CANARY} text {n} {'good' if n % 2 else 'bad'}", "y": f"{CANARY}-{n % 2}"} for n in range(96)]


@pytest.fixture
def hub(hub_server: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubStandIn:
    """A hub with one tiny encoder."""
    base = tiny_model(tmp_path / "base")
    files = {f.relative_to(base).as_posix(): f.read_bytes() for f in base.rglob("*") if f.is_file()}
    hub_server.add_repo("alice/tiny", files, card={"license": "mit", "language": "en"})
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    monkeypatch.setenv("MODELNOOK_THREADS", "1")
    return hub_server


def test_from_the_hub_to_w_and_b(hub: HubStandIn, server: WandbStandIn, rows: list[dict[str, Any]]) -> None:
    revision = hub.repo("alice/tiny").at("main").sha
    both = ["wandb", "tensorboard"]
    run = mn.finetune("hub:alice/tiny", rows, text="body", label="y", name="spam", epochs=1, track=both)
    assert (run.state, run.base) == ("finished", f"hub:alice/tiny@{revision}")
    said = run.record.wandb
    assert said
    assert (said["mode"], said["synced"]) == ("online", True)
    there = server.runs[run.id]
    assert (there.state, there.values["model"], there.values["base"]) == ("finished", "local:spam@1", run.base)
    assert there.values["data"]["fingerprint"] == run.record.data["fingerprint"]
    assert there.summary["accuracy"] == run.metrics["accuracy"]
    assert {row["_step"] for row in there.rows if "loss" in row} == set(run.history()["step"])
    for request in [*server.requests, *hub.requests]:
        assert CANARY.encode() not in request.body
        assert CANARY not in str(request.query)
    [read] = read_project(current())
    assert (read.id, read.metrics["accuracy"], read.model) == (run.id, run.metrics["accuracy"], "local:spam@1")
    board = scalars(run)
    assert set(board["loss"]) == set(run.history().dropna(subset=["loss"])["step"])
    assert [*board["final/accuracy"].values()] == [pytest.approx(run.metrics["accuracy"], abs=1e-6)]


def scalars(run: mn.Run) -> dict[str, dict[int, float]]:
    """What the event files of a run hold, by TensorBoard's own reader."""
    needed("torch.utils.tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(run.folder.path / "tracking" / "tensorboard"))
    read.Reload()
    return {name: {e.step: e.value for e in read.Scalars(name)} for name in read.Tags()["scalars"]}


def test_a_server_that_goes_away_in_mid_run_costs_no_point(
    hub: HubStandIn, server: WandbStandIn, rows: list[dict[str, Any]]
) -> None:
    run = mn.finetune("hub:alice/tiny", rows, text="body", label="y", epochs=400, background=True)
    ends = time.monotonic() + 120
    while not (run.id in server.runs and any("loss" in row for row in server.history(run.id))):
        assert run.record.live, run.log()
        assert time.monotonic() < ends
        time.sleep(0.05)
    server.stop()
    step = run.record.progress["step"]
    while run.record.progress["step"] <= step + 5:
        assert run.record.live, run.log()
        time.sleep(0.05)
    # It is stopped for time's sake; what ends by itself is closed in the same way.
    run.stop()
    run.wait(timeout=120)
    assert (run.state, bool(run.model)) == ("stopped", True)
    assert (run.record.wandb["mode"], run.record.wandb["synced"]) == ("online", False)
    [lost] = [warning for warning in run.record.warnings if "W&B" in warning]
    assert f"%model runs sync {run.id}" in lost
    assert max(row["_step"] for row in server.history(run.id)) <= run.history()["step"].max()
    server.start()
    assert sync(run).record.wandb["synced"]
    steps = {row["_step"] for row in server.history(run.id) if "loss" in row}
    assert steps == set(run.history().dropna(subset=["loss"])["step"])


def test_offline_first_and_uploaded_later(
    hub: HubStandIn,
    wandb_server: WandbStandIn,
    rows: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", wandb_server.url)
    run = mn.finetune("hub:alice/tiny", rows, text="body", label="y", epochs=1)
    assert run.record.wandb
    assert run.record.wandb["synced"] is False
    assert not wandb_server.requests
    before, url = run.record.wandb, f"{wandb_server.url}/carol/modelnook/runs/{run.id}"
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    # The newest run is another, which has nothing to upload: what the card says is typed without an id.
    newer = replace(run.record, id="aaaaaaaa", created="2999-01-01T00:00:00Z", wandb=None)
    Store().list_again([newer])
    assert main(["runs", "sync"]) == 0
    assert run.record.wandb == {**before, "mode": "online", "synced": True, "url": url}
    assert url in capsys.readouterr().out
    assert wandb_server.runs[run.id].summary["accuracy"] == run.metrics["accuracy"]
    assert main(["runs", "sync"]) == 1
    assert "No run has anything to upload" in capsys.readouterr().err


def test_each_trial_of_a_tuning_is_a_run_of_its_group(
    hub: HubStandIn, server: WandbStandIn, rows: list[dict[str, Any]]
) -> None:
    space = "learning_rate=1e-4..1e-2:log"
    run = mn.tune("hub:alice/tiny", rows, text="body", label="y", name="t", trials=3, epochs=1, space=space)
    trials = {name for name, there in server.runs.items() if there.group == run.id}
    assert trials == {f"{run.id}-{number}" for number in ("default", "1", "2")}
    rates = {server.runs[name].values.get("learning_rate") for name in trials}
    assert len(rates) == 3
    for name in trials:
        assert server.runs[name].state == "finished"
        assert "accuracy" in server.runs[name].summary
    # The list of runs shows the tuning, not each of its trials.
    listed = [record.id for record in mn.runs().items]
    assert listed == [run.id]
    for request in server.requests:
        assert CANARY.encode() not in request.body


def test_a_tuning_offline_is_uploaded_with_its_trials(
    hub: HubStandIn, wandb_server: WandbStandIn, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", wandb_server.url)
    space = "learning_rate=1e-4..1e-2:log"
    run = mn.tune("hub:alice/tiny", rows, text="body", label="y", name="t", trials=2, epochs=1, space=space)
    assert not wandb_server.requests
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    sync(run)
    assert set(wandb_server.runs) == {run.id, f"{run.id}-default", f"{run.id}-1"}
