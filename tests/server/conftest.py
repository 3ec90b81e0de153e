"""A real Jupyter server with the extension, over a store in a temporary folder."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from pytest_jupyter.jupyter_core import *  # noqa: F403
from pytest_jupyter.jupyter_server import *  # noqa: F403
from tornado.httpclient import HTTPClientError

from modelnook.domain.recipe import Recipe
from modelnook.domain.run import RunRecord
from modelnook.store import Store
from modelnook.store.runs import RunFolder, now

Call = Callable[..., Awaitable[Any]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's folder, empty, offline."""
    folder = tmp_path / "home-of-modelnook"
    monkeypatch.setenv("MODELNOOK_HOME", str(folder))
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    monkeypatch.setenv("MODELNOOK_LANG", "en")
    for name in ("WANDB_MODE", "WANDB_API_KEY", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def store(home: Path) -> Store:
    """What a kernel or a job would have opened."""
    return Store(home)


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    """The strict form: what isn't decorated is refused."""
    return {
        "ServerApp": {
            "jpserver_extensions": {"modelnook": True},
            "allow_unauthenticated_access": False,
            "reraise_server_extension_failures": True,
        },
    }


@pytest.fixture
def call(jp_fetch: Any) -> Call:
    """``await call("runs", limit=3)``: the result, or an HTTPClientError."""

    async def ask(method: str, /, **params: Any) -> Any:
        response = await jp_fetch("modelnook", "api", method, method="POST", body=json.dumps(params))
        return json.loads(response.body)

    return ask


@pytest.fixture
def refused(call: Call) -> Call:
    """``await refused("runs", limit="x")``: ``(status, {code, message, hint})``."""

    async def ask(method: str, /, **params: Any) -> tuple[int, dict[str, str]]:
        with pytest.raises(HTTPClientError) as caught:
            await call(method, **params)
        return told(caught.value)

    return ask


def told(error: HTTPClientError) -> tuple[int, dict[str, str]]:
    """The status and the body of a refusal."""
    assert error.response is not None
    body = json.loads(error.response.body)
    assert set(body) == {"code", "message", "hint"}, body
    return error.code, body


def make_run(store: Store, id: str = "abcd1234", state: str = "finished", **fields: Any) -> RunFolder:
    """A run as a worker leaves it."""
    times = {"created": now(), "started": now(), "ended": None if state in ("queued", "running") else now()}
    name = fields.pop("name", "topics")
    record = RunRecord(id=id, name=name, kind="finetune", state=state, base="pip:tiny", **{**times, **fields})
    recipe = Recipe("finetune", "pip:tiny", task="text-classification", python=sys.executable, name=name)
    return store.create_run(recipe, record)


def children(*words: str) -> list[psutil.Process]:
    """This process's living descendants whose command line holds one of the words."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(word in " ".join(child.cmdline()) for word in words) and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


@pytest.fixture
def worker(store: Store) -> Iterator[tuple[subprocess.Popen[bytes], RunFolder]]:
    """A running run whose worker is a real process that holds its lease and does nothing."""
    run = make_run(store, "work1234", "queued")
    child = subprocess.Popen([sys.executable, "-c", _IDLE, str(run.path)], stdout=subprocess.PIPE, env={**os.environ})
    assert child.stdout is not None
    child.stdout.readline()
    record = run.record()
    assert record is not None
    record = replace(record, state="running", pid=child.pid, epoch=1)
    run.write(record, epoch=1)
    store.list_again([record])
    yield child, run
    child.kill()
    child.wait()


_IDLE = """
import sys, time
from pathlib import Path
from modelnook.store.lease import Lease
Lease(Path(sys.argv[1]) / "lease").take(0)
print("up", flush=True)
time.sleep(600)
"""
