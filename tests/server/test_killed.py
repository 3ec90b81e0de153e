"""A server that is killed in mid-run: its job goes on, and the next server shows it running and then finished."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import modelnook as mn
from modelnook.store import Store
from modelnook.testing.models import tiny_model, tiny_rows

pytestmark = pytest.mark.slow

CANARY = "hf_canary0123456789abcdefghijklmnopqrs"
SERVE = """
from jupyter_server.serverapp import ServerApp
app = ServerApp(jpserver_extensions={"modelnook": True}, reraise_server_extension_failures=True, ip="127.0.0.1",
                port=0, allow_root=True, open_browser=False, token="t")
app.initialize(argv=[], find_extensions=False)
app.io_loop.add_callback(lambda: print(app.port, flush=True))
app.start()
"""


class Server:
    """A Jupyter server in a process group of its own."""

    def __init__(self, folder: Path) -> None:
        log = (folder / "server.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE], stdout=subprocess.PIPE, stderr=log, cwd=folder, start_new_session=True
        )
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/modelnook/api/"

    def ask(self, method: str, **params: Any) -> Any:
        request = urllib.request.Request(
            self.url + method, json.dumps(params).encode(), {"Authorization": "token t"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read().decode()
        assert CANARY not in text
        return json.loads(text)

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    running = Server(folder)
    try:
        yield running
    finally:
        running.kill()


def until(condition: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def test_a_job_that_a_server_started_outlives_it(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "WANDB_API_KEY"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("MODELNOOK_THREADS", "1")
    base = str(tiny_model(tmp_path / "base"))
    run = mn.finetune(base, tiny_rows(256), epochs=60, name="orphan", track="none", background=True)
    until(run.folder.lease.live)
    os.kill(run.folder.lease.live().pid, signal.SIGKILL)
    until(lambda: run.state == "crashed")

    with server(tmp_path) as first:
        assert first.ask("resume", run=run.id)["id"] == run.id
        until(lambda: (first.ask("run", run=run.id)["progress"] or {}).get("step", 0) > 3)
        first.kill()
    with server(tmp_path) as second:
        [seen] = second.ask("runs")["items"]
        assert (seen["id"], seen["state"]) == (run.id, "running")
        at = second.ask("events", topics=["runs"])["cursor"]
        assert {"topic": "runs", "id": run.id} in second.ask("events", topics=["runs"], cursor=at, wait=20)["changes"]
        until(lambda: second.ask("run", run=run.id)["state"] != "running")
        ended = second.ask("run", run=run.id)
        assert (ended["state"], ended["model"]) == ("finished", "local:orphan@1")
        assert second.ask("history", run=run.id)["total"]
        for method, params in (("log", {"run": run.id}), ("settings", {}), ("sources", {}), ("list", {})):
            assert second.ask(method, **params)
    assert Store(home).run(run.id).lease.epoch() == 2
