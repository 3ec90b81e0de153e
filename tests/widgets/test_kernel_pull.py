"""A download in a real kernel: shown as one card, and not ended by a restart of the kernel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.standins.hub import HubStandIn, safetensors
from tests.widgets.test_kernel import SETUP, outputs

import modelnook as mn

pytestmark = pytest.mark.slow

REF = "hub:alice/large"
DATA = safetensors({"w": (8, 8)}, padding=24_000_000)


@pytest.fixture
def hub(hub_server: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> HubStandIn:
    """A hub whose one model takes seconds."""
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    hub_server.add_repo("alice/large", {"config.json": "{}", "model.safetensors": DATA})
    hub_server.throttle(sleep=0.15)
    return hub_server


@pytest.fixture
def started(hub: HubStandIn) -> Iterator[tuple[Any, Any]]:
    """A kernel's manager and its client."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_restart_of_the_kernel_ends_no_pull(hub: HubStandIn, started: tuple[Any, Any]) -> None:
    manager, client = started
    outputs(client, SETUP)
    client.execute(f"%model pull {REF}")
    end = time.monotonic() + 60
    while not any(int((run.record.progress or {}).get("step") or 0) > 4_000_000 for run in mn.runs(kind="pull")):
        assert time.monotonic() < end
        time.sleep(0.03)
    [run] = mn.runs(kind="pull")
    worker = run.record.pid
    manager.restart_kernel(now=True)
    client.wait_for_ready(timeout=60)
    assert (run.state, run.record.pid) == ("running", worker)
    outputs(client, SETUP)
    reply, found = outputs(client, f"%model pull {REF}")
    assert reply["status"] == "ok", reply
    shown = [m["msg_type"] for m in found]
    assert shown[0] == "display_data"
    assert shown.count("display_data") == 1, "one card, which is brought up to date"
    assert [r.id for r in mn.runs(kind="pull")] == [run.id]
    assert run.state == "finished"
    bytes_of = [r for r in hub.seen("GET /_cdn/") if r.headers.get("range") != "bytes=0-100000"]
    assert len(bytes_of) == 1, "it never began anew"
