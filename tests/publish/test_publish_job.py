"""A publication is a run: its progress is seen everywhere, it can be stopped, and killed it leaves nothing to see."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.catalog.team import taken
from tests.standins.hub import HubStandIn, safetensors
from tests.standins.s3 import S3Server

import modelnook as mn
from modelnook import api, cards
from modelnook.catalog.search import source
from modelnook.cli import main
from modelnook.domain.errors import ConflictError, NotFoundError, RefusedError
from modelnook.run import Run

Make = Callable[..., str]
WEIGHTS = safetensors({"w": (10, 4)}, padding=20_000_000)
pytestmark = pytest.mark.slow


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.03)


class Gate:
    """An S3 server that keeps every large PUT waiting after the first, until it is opened."""

    def __init__(self, server: S3Server) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self._lock, self._parts = threading.Lock(), 0
        server.lost = self._wait

    def _wait(self, method: str, path: str) -> bool:
        if method == "PUT" and "/blobs/" in path:
            with self._lock:
                self._parts += 1
                late = self._parts > 3
            if late:
                self.reached.set()
                self.opened.wait(60)
        return False


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with S3Server() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        api.add_source("team", "s3://team/models", kind="folder")
        yield server


@pytest.fixture
def gate(s3: S3Server) -> Iterator[Gate]:
    found = Gate(s3)
    yield found
    found.opened.set()


def begun(ref: str, to: str) -> Run:
    run = mn.publish(ref, to, background=True)
    assert isinstance(run, Run)
    return run


def test_it_is_listed_while_it_goes_on_and_stops_where_asked(gate: Gate, make: Make) -> None:
    ref = make(files={"model.safetensors": WEIGHTS})
    run = begun(ref, "team")
    assert gate.reached.wait(60), run.log()
    until(lambda: (run.record.progress or {}).get("total"))
    progress = run.record.progress or {}
    assert (progress["phase"], progress["total"] > len(WEIGHTS)) == ("uploading", True)
    assert "uploading" in cards.text(run)
    assert [(r.id, r.kind, r.name) for r in mn.runs(state="running")] == [(run.id, "publish", "team:topics")]
    assert begun(ref, "team").id == run.id, "who asks for the same joins it"
    api.stop(run.id)
    gate.opened.set()
    until(lambda: not run.record.live)
    assert run.record.state == "stopped"
    with pytest.raises(ConflictError, match="nothing of it can be seen"):
        api.published(run)
    assert source("team").names() == []
    with pytest.raises(NotFoundError):
        mn.info("team:topics")
    done = mn.publish(ref, "team")
    assert (done.ref, done.sent) == ("team:topics@1", True)
    assert (taken("team:topics") / "model.safetensors").read_bytes() == WEIGHTS
    assert "team:topics@1" in cards.text(mn.runs(kind="publish", state="finished")[0])
    assert [r.kind for r in mn.runs(state="finished")] == ["finetune"], "what is done is history of its own"
    assert [(r.state, r.report) for r in mn.runs(kind="publish", state="finished").items] == [
        ("finished", {"published": "team:topics@1", "bytes": done.bytes})
    ]


def test_killed_it_leaves_nothing_to_see(gate: Gate, make: Make) -> None:
    ref = make(files={"model.safetensors": WEIGHTS})
    run = begun(ref, "team")
    assert gate.reached.wait(60), run.log()
    os.kill(run.record.pid or 0, signal.SIGKILL)
    gate.opened.set()
    until(lambda: run.record.state == "crashed")
    with pytest.raises(NotFoundError):
        mn.info("team:topics")
    assert mn.publish(ref, "team").ref == "team:topics@1"


def test_an_upload_that_hangs_is_stopped_at_once(
    hub_server: HubStandIn, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_server.add_token("hf_anna", "anna")
    monkeypatch.setenv("WORK_TOKEN", "hf_anna")
    api.add_source("work", hub_server.url, token_env="WORK_TOKEN")
    stuck = hub_server.slow(r"PUT /_lfs/", 600)
    run = begun(make(files={"model.safetensors": WEIGHTS}), "work")
    until(lambda: stuck.hits)
    until(lambda: (run.record.progress or {}).get("phase") == "uploading")
    pid = run.record.pid or 0
    run.stop()
    until(lambda: run.record.state == "stopped", 20)
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text(), 20)
    assert set(hub_server.files("anna/topics")) == {".gitattributes"}


def test_what_forbids_it_starts_no_run(s3: S3Server, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    ref = make(license="gpl-3.0")
    with pytest.raises(RefusedError, match="must keep that licence"):
        mn.publish(ref, "team", license="mit", background=True)
    assert len(mn.runs(kind="publish")) == 0
    assert main(["publish", "topics", "team", "--background"]) == 0
    assert "team:topics" in capsys.readouterr().out
    [run] = list(mn.runs(kind="publish"))
    run.wait()
    assert api.published(run).license == "gpl-3.0"
