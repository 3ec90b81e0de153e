"""A search that reaches a hub, from the server, through a child; the hub is the stand-in on loopback."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from tests.server.conftest import children
from tests.standins.fixtures import hub_server  # noqa: F401
from tornado.httpclient import HTTPClientError


@pytest.fixture
def hub(hub_server, jp_serverapp, monkeypatch, tmp_path):  # noqa: F811
    """A hub with two models, and this server online with it."""
    hub_server.add_repo("alice/tiny-news", {"config.json": "{}"}, card={"license": "mit"}, downloads=7)
    hub_server.add_repo("bob/other", {"config.json": "{}"}, card={"license": "mit"})
    monkeypatch.setenv("MODELNOOK_OFFLINE", "0")
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("HF_TOKEN", hub_server.add_token("hf_canary", "carol"))
    return hub_server


def _asked(hub) -> list[str]:
    return [entry.line for entry in hub.requests if "/api/models" in entry.line]


async def test_what_was_typed_reaches_the_hub(hub, call):
    found = await call("search", query="tiny-news")
    assert [item["ref"] for item in found["items"] if item["source"] == "hub"] == ["hub:alice/tiny-news"]
    assert "hf_canary" not in json.dumps(found)
    assert _asked(hub)


async def test_an_empty_search_does_not(hub, call):
    await call("search")
    await call("search", query="", task="text-classification")
    await call("sources")
    assert hub.requests == []


async def test_info_of_a_hub_model_and_its_near_miss(hub, call, refused):
    assert (await call("info", ref="hub:alice/tiny-news"))["license"] == "mit"
    status, error = await refused("info", ref="hub:alice/none")
    assert status == 404
    assert "alice/none" in error["message"]


@pytest.mark.slow
async def test_a_silent_hub_costs_its_deadline_once(hub, call, store):
    hub.slow(r"GET /api/models", 30)
    began = time.monotonic()
    found = await call("search", query="tiny-news")
    assert time.monotonic() - began < 8
    assert found["notes"]
    began = time.monotonic()
    again = await call("search", query="tiny-new")
    assert time.monotonic() - began < 1.5
    assert again["notes"] == found["notes"]


@pytest.mark.slow
async def test_a_client_that_goes_away_takes_its_question_along(hub, jp_fetch, call):
    hub.slow(r"GET /api/models", 30)
    body = json.dumps({"query": "tiny-news"})
    with pytest.raises(HTTPClientError):
        await jp_fetch("modelnook", "api", "search", method="POST", body=body, request_timeout=2.5)
    await asyncio.sleep(0.3)
    assert not children("modelnook.server.ask")
