"""Questions in a child: a deadline, an end with the client and with the server, an event loop that goes on."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from tests.server.conftest import children, told
from tornado.httpclient import HTTPClientError

_SLOW = "import sys, time\nif 'modelnook.server.ask' in sys.orig_argv: time.sleep(60)\n"


@pytest.fixture
def jp_server_config(jp_server_config):
    return {**jp_server_config, "ModelnookApp": {"ask_seconds": 1.5}}


@pytest.fixture
def app(jp_serverapp):
    (found,) = jp_serverapp.extension_manager.extension_apps["modelnook"]
    return found


@pytest.fixture
def slow(app, tmp_path, monkeypatch):
    """Every child that answers a question sleeps first."""
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_SLOW)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def _asking():
    return children("modelnook.server.ask")


async def _until(happens, seconds: float = 5.0) -> None:
    ends = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < ends
        await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_it_has_a_deadline(slow, refused):
    began = time.monotonic()
    status, error = await refused("info", ref="hub:owner/name")
    assert (status, error["code"]) == (503, "server.too_slow")
    assert time.monotonic() - began < 4
    assert _asking() == []


@pytest.mark.slow
async def test_meanwhile_the_server_answers(slow, call):
    waiting = asyncio.ensure_future(call("info", ref="hub:owner/name"))
    await asyncio.sleep(0.3)
    began = time.monotonic()
    await call("runs")
    assert time.monotonic() - began < 1
    assert not waiting.done()
    with pytest.raises(HTTPClientError):
        await waiting


async def test_it_ends_with_the_client(slow, jp_fetch):
    body = json.dumps({"ref": "hub:owner/name"})
    waiting = asyncio.ensure_future(jp_fetch("modelnook", "api", "info", method="POST", body=body, request_timeout=0.7))
    await _until(_asking)
    with pytest.raises(HTTPClientError):
        await waiting
    await _until(lambda: not _asking(), 0.7)


async def test_it_ends_with_the_server(slow, call, app):
    waiting = asyncio.ensure_future(call("info", ref="hub:owner/name"))
    await _until(_asking)
    began = time.monotonic()
    await app.stop_extension()
    assert time.monotonic() - began < 1
    assert _asking() == []
    with pytest.raises(HTTPClientError) as caught:
        await waiting
    assert told(caught.value)[0] >= 500


async def test_errors_come_back_with_their_status(refused):
    status, error = await refused("info", ref="nosuch:thing")
    assert status == 400
    assert error["code"].startswith("core.")
