"""`pull`: a process of its own that outlives whoever asked, is joined by who asks again, and goes on after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
from tests.standins.hub import HubStandIn, safetensors

import modelnook as mn
from modelnook import cards
from modelnook.cli import main
from modelnook.domain.errors import ConflictError, NotFoundError, OfflineError, RefusedError
from modelnook.run import Run
from modelnook.settings import home, save_sources
from modelnook.store import Store

REF = "hub:alice/large"
DATA = safetensors({"w": (8, 8)}, padding=24_000_000)


@pytest.fixture
def hub(hub_server: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> HubStandIn:
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    hub_server.add_repo("alice/large", {"config.json": "{}", "model.safetensors": DATA})
    hub_server.add_repo("alice/tiny", {"config.json": "{}", "model.safetensors": safetensors({"w": (2, 2)})})
    return hub_server


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.03)


def step(run: Run) -> int:
    record = run.record
    assert record.live, (record, run.log())
    return int((record.progress or {}).get("step") or 0)


def under_way(hub: HubStandIn) -> Run:
    hub.throttle(sleep=0.05)
    run = mn.pull(REF, background=True)
    assert isinstance(run, Run)
    until(lambda: step(run) > 8_000_000)
    # What was counted is on its way to the disk.
    until(lambda: any(part.stat().st_size > 8_000_000 for part in cached("*.incomplete")))
    return run


def cached(pattern: str) -> list[Path]:
    return list(Path(huggingface_hub.constants.HF_HUB_CACHE).rglob(pattern))


def test_it_gives_the_folder_and_is_a_run(hub: HubStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "alice/tiny"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert {f.name for f in folder.iterdir()} == {"config.json", "model.safetensors"}
    assert len(mn.runs()) == 0, "a download that is done is no news"
    [run] = mn.runs(kind="pull")
    assert (run.kind, run.state, run.base) == ("pull", "finished", f"hub:alice/tiny@{folder.name}")
    assert run.report == {"path": str(folder), "bytes": sum(f.stat().st_size for f in folder.iterdir())}
    assert run.device is None
    assert str(folder) in cards.html(run)
    with pytest.raises(NotFoundError):
        Store().find("last")
    before = len(hub.seen("resolve"))
    assert mn.pull("hub:alice/tiny") == folder
    assert mn.pull(f"hub:alice/tiny@{folder.name}", background=True) == folder
    assert len(mn.runs(kind="pull")) == 1
    assert len(hub.seen("resolve")) == before


def test_what_is_here_without_a_network_is_its_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert mn.pull(str(tmp_path)) == tmp_path
    assert len(mn.runs()) == 0


@pytest.mark.parametrize("variable", ["MODELNOOK_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_it_says_so_and_starts_nothing(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(OfflineError, match="offline"):
        mn.pull("hub:alice/tiny")
    assert len(mn.runs()) == 0
    assert not hub.requests


@pytest.mark.slow
def test_what_went_wrong_is_told_as_it_was_there(hub: HubStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    hub.add_repo("alice/gated", {"config.json": "{}", "model.safetensors": DATA}, gated=True)
    with pytest.raises(RefusedError) as caught:
        mn.pull("hub:alice/gated")
    assert caught.value.code == "hub.gated_login"
    assert main(["pull", "hub:alice/gated"]) == 1
    assert f"{hub.url}/alice/gated" in capsys.readouterr().err
    assert len(mn.runs()) == 1, "asked again it is the same run"


@pytest.mark.slow
def test_a_second_pull_joins_the_first(hub: HubStandIn) -> None:
    run = under_way(hub)
    again = mn.pull(REF, background=True)
    assert isinstance(again, Run)
    assert again.id == run.id
    hub.throttle()
    folder = mn.pull(REF)
    assert (folder / "model.safetensors").read_bytes() == DATA
    assert len([r for r in hub.seen("GET /_cdn/") if r.headers.get("range") != "bytes=0-100000"]) == 1


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was(hub: HubStandIn) -> None:
    run = under_way(hub)
    os.kill(run.record.pid or 0, signal.SIGKILL)
    until(lambda: run.state == "crashed")
    assert not cached("snapshots/*/model.safetensors")
    hub.throttle()
    folder = mn.pull(REF)
    assert (folder / "model.safetensors").read_bytes() == DATA
    assert [r.id for r in mn.runs(kind="pull")] == [run.id]
    assert int(hub.seen("GET /_cdn/")[-1].headers["range"].removeprefix("bytes=").rstrip("-")) >= 5_000_000


@pytest.mark.slow
def test_it_outlives_whoever_asked(hub: HubStandIn) -> None:
    hub.throttle(sleep=0.05)
    asking = subprocess.Popen(
        [sys.executable, "-c", f"import modelnook; modelnook.pull({REF!r})"],
        env=dict(os.environ),
        start_new_session=True,
    )
    until(lambda: any(step(r) > 8_000_000 for r in mn.runs(kind="pull")))
    [run] = mn.runs(kind="pull")
    os.killpg(asking.pid, signal.SIGKILL)
    asking.wait()
    hub.throttle()
    assert run.wait(timeout=60).state == "finished"
    assert (Path(run.report["path"]) / "model.safetensors").read_bytes() == DATA


@pytest.mark.slow
def test_stopped_it_says_so_and_goes_on(hub: HubStandIn) -> None:
    run = under_way(hub)
    mn.stop(run.id)
    with pytest.raises(ConflictError, match="stopped") as caught:
        mn.pull(REF)
    assert caught.value.code == "hub.stopped"
    assert run.state == "stopped"
    hub.throttle()
    assert (mn.pull(REF) / "model.safetensors").read_bytes() == DATA
    assert "range" in hub.seen("GET /_cdn/")[-1].headers


@pytest.mark.slow
def test_it_waits_for_no_device(hub: HubStandIn) -> None:
    from modelnook.jobs.device import device_lease, pick

    store = Store()
    assert device_lease(store, pick()).take(0)
    assert mn.pull("hub:alice/tiny").is_dir()


@pytest.mark.slow
def test_an_added_endpoints_token_reaches_the_download_and_no_file(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_token("canary_token", "alice")
    monkeypatch.setenv("TEAM_TOKEN", "canary_token")
    parts = {"config.json": "{}", "model.safetensors": safetensors({"w": (3, 3)})}
    hub.add_repo("alice/secret", parts, private=True)
    save_sources(lambda _: [{"name": "team", "url": hub.url, "kind": "hub", "token_env": "TEAM_TOKEN"}])
    folder = mn.pull("team:alice/secret")
    assert isinstance(folder, Path)
    assert (folder / "model.safetensors").read_bytes() == parts["model.safetensors"]
    assert folder.is_relative_to(home() / "cache" / "hub")
    written = [f for f in home().rglob("*") if f.is_file()]
    assert any(f.name == "state.json" for f in written)
    assert not [f for f in written if b"canary_token" in f.read_bytes()]
