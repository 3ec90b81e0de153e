"""The change feed: it wakes, it survives a lost index and a restart, and nothing of it stays behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from dataclasses import replace

import pytest
from tests.server.conftest import make_run, told
from tornado.httpclient import HTTPClientError

from modelnook.server.feed import Feed, Wish
from modelnook.server.opened import OpenedStore


async def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.02)


@pytest.fixture
def app(jp_serverapp):
    """The extension in the running server."""
    (found,) = jp_serverapp.extension_manager.extension_apps["modelnook"]
    return found


async def test_no_cursor_answers_at_once_with_the_newest(call, store):
    make_run(store)
    began = time.monotonic()
    said = await call("events", topics=["runs"], cursor=None, wait=20)
    assert time.monotonic() - began < 5
    assert said["changes"] == []
    assert 0 < said["cursor"] < 2**53


async def test_a_change_wakes_within_a_second(call, store):
    run = make_run(store)
    start = await call("events", topics=["runs"], cursor=None, wait=0)
    waiting = asyncio.ensure_future(call("events", topics=["runs"], cursor=start["cursor"], wait=20))
    await asyncio.sleep(0.6)
    assert not waiting.done()
    began = time.monotonic()
    store.list_again([replace(run.record(), name="other")])
    said = await waiting
    assert time.monotonic() - began < 1
    assert said["changes"] == [{"topic": "runs", "id": run.id}]
    again = await call("events", topics=["runs"], cursor=said["cursor"], wait=0)
    assert again == {"cursor": said["cursor"], "changes": []}


async def test_what_happened_between_two_polls_is_told(call, store):
    start = await call("events", topics=["runs"], cursor=None, wait=0)
    make_run(store)
    said = await call("events", topics=["runs"], cursor=start["cursor"], wait=20)
    assert said["changes"] == [{"topic": "runs", "id": "abcd1234"}]


@pytest.mark.slow
async def test_other_topics_do_not_wake(call, store):
    start = await call("events", topics=["models"], cursor=None, wait=0)
    waiting = asyncio.ensure_future(call("events", topics=["models"], cursor=start["cursor"], wait=1.5))
    await asyncio.sleep(0.3)
    make_run(store)
    began = time.monotonic()
    said = await waiting
    assert time.monotonic() - began > 0.5
    assert said["changes"] == []
    assert said["cursor"] > start["cursor"]


async def test_many_clients_share_one_poller(call, store, app):
    start = await call("events", topics=["runs"], cursor=None, wait=0)
    waiting = [
        asyncio.ensure_future(call("events", topics=["runs"], cursor=start["cursor"], wait=20)) for _ in range(9)
    ]
    await asyncio.sleep(0.7)
    assert app.feed.waiting == 9
    poller = app.feed._poller
    make_run(store)
    answers = await asyncio.gather(*waiting)
    assert all(a["changes"] == [{"topic": "runs", "id": "abcd1234"}] for a in answers)
    assert app.feed._poller is poller


async def test_a_killed_worker_shows_as_crashed(call, worker):
    child, run = worker
    start = await call("events", topics=["runs"], cursor=None, wait=0)
    waiting = asyncio.ensure_future(call("events", topics=["runs"], cursor=start["cursor"], wait=20))
    await asyncio.sleep(0.5)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    began = time.monotonic()
    said = await waiting
    assert time.monotonic() - began < 2.5
    assert {"topic": "runs", "id": run.id} in said["changes"]
    assert (await call("run", run=run.id))["state"] == "crashed"
    assert (await call("runs"))["items"][0]["state"] == "crashed"


async def test_a_deleted_index_is_made_anew(call, store, home):
    make_run(store)
    start = await call("events", topics=["runs"], cursor=None, wait=0)
    waiting = asyncio.ensure_future(call("events", topics=["models", "runs"], cursor=start["cursor"], wait=20))
    await asyncio.sleep(0.6)
    for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
        (home / name).unlink(missing_ok=True)
    said = await asyncio.wait_for(waiting, 5)
    assert said["changes"] == [{"topic": "models", "id": "*"}, {"topic": "runs", "id": "*"}]
    assert [run["id"] for run in (await call("runs"))["items"]] == ["abcd1234"]
    assert (await call("events", topics=["runs"], cursor=said["cursor"], wait=0))["changes"] == []


async def test_an_index_that_a_worker_made_anew_alone_is_filled(call, store, home):
    make_run(store, "aaaa1111")
    make_run(store, "bbbb2222")
    assert len((await call("runs"))["items"]) == 2
    for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
        (home / name).unlink(missing_ok=True)
    record = store.run("aaaa1111").record()
    store.index.put_runs([record])
    assert {run["id"] for run in (await call("runs"))["items"]} == {"aaaa1111", "bbbb2222"}


async def test_a_cursor_of_before_a_restart_starts_anew(call, store):
    start = await call("events", topics=["runs"], cursor=None, wait=0)
    restarted = Feed(OpenedStore())
    said = await restarted.events(Wish.read(topics=["runs"], cursor=start["cursor"], wait=20))
    assert said["changes"] == [{"topic": "runs", "id": "*"}]
    make_run(store)
    said = await restarted.events(Wish.read(topics=["runs"], cursor=said["cursor"], wait=20))
    assert said["changes"] == [{"topic": "runs", "id": "abcd1234"}]
    await restarted.close()


async def test_two_servers_over_one_store_both_tell(call, store):
    other = Feed(OpenedStore())
    starts = [await call("events", topics=["runs"]), await other.events(Wish.read(topics=["runs"]))]
    waiting = [
        asyncio.ensure_future(call("events", topics=["runs"], cursor=starts[0]["cursor"], wait=20)),
        asyncio.ensure_future(other.events(Wish.read(topics=["runs"], cursor=starts[1]["cursor"], wait=20))),
    ]
    await asyncio.sleep(0.4)
    make_run(store)
    for said in await asyncio.gather(*waiting):
        assert said["changes"] == [{"topic": "runs", "id": "abcd1234"}]
    await other.close()


@pytest.mark.slow
async def test_a_client_that_goes_away_is_forgotten(jp_fetch, call, app):
    start = await call("events", topics=["runs"], cursor=None, wait=0)
    body = json.dumps({"topics": ["runs"], "cursor": start["cursor"], "wait": 20})
    with pytest.raises(HTTPClientError):
        await jp_fetch("modelnook", "api", "events", method="POST", body=body, request_timeout=0.8)
    await until(lambda: not app.feed.waiting, 2.5)
    await asyncio.sleep(2.6)
    assert not app.feed.polling


async def test_the_end_of_the_server_lets_everybody_go(call, app):
    start = await call("events", topics=["runs"], cursor=None, wait=0)
    waiting = asyncio.ensure_future(call("events", topics=["runs"], cursor=start["cursor"], wait=20))
    await until(lambda: app.feed.waiting)
    began = time.monotonic()
    await app.stop_extension()
    assert (await waiting)["changes"] == []
    assert time.monotonic() - began < 2


async def test_a_question_that_stands_in_the_queue_at_the_end_is_answered(call, app):
    start = await call("events", topics=["runs"], cursor=None, wait=0)
    app.feed._thread.submit(time.sleep, 0.5)
    await until(lambda: not app.feed._thread._work_queue.qsize())
    waiting = asyncio.ensure_future(call("events", topics=["runs"], cursor=start["cursor"], wait=20))
    await until(lambda: app.feed._thread._work_queue.qsize())
    await app.stop_extension()
    assert (await waiting)["changes"] == []


@pytest.mark.parametrize(
    ("params", "status", "word"),
    [
        ({"topics": ["rums"]}, 400, "runs"),
        ({"topics": "runs"}, 400, "topics"),
        ({"cursor": "1"}, 400, "cursor"),
        ({"cursor": -1}, 400, "cursor"),
        ({"wait": "long"}, 400, "wait"),
        ({"wait": float("nan")}, 400, "wait"),
        ({"curser": 1}, 400, "cursor"),
    ],
)
async def test_wrong_arguments(call, params, status, word):
    with pytest.raises(HTTPClientError) as caught:
        await call("events", **params)
    got, error = told(caught.value)
    assert got == status
    assert word in error["message"] + error["hint"]


def test_nobody_waits_longer_than_the_contract_says():
    assert [Wish.read(wait=wait).wait for wait in (0, 24.5, 25, 26, float("inf"))] == [0, 24.5, 25, 25, 25]


async def test_waiting_does_not_keep_an_idle_server_alive(call, jp_serverapp):
    settings = jp_serverapp.web_app.settings
    await call("runs")
    busy = settings["api_last_activity"]
    await call("events", topics=["runs"], cursor=None, wait=0)
    assert settings["api_last_activity"] == busy
    await call("runs")
    assert settings["api_last_activity"] > busy
