"""Every method's happy path, over HTTP, on a real store."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace

import pytest
from tests.server.conftest import make_run

from modelnook.domain.model import ModelInfo
from modelnook.store.files import write_json


async def test_search_answers_from_the_index(call, store):
    store.index.put_models("pip", [ModelInfo("pip:tiny", "tiny", "pip", name="tiny", parameters=5000)], env="other")
    found = await call("search", query="tiny")
    assert [item["ref"] for item in found["items"]] == ["pip:tiny"]
    assert found["total"] == 1
    assert isinstance(found["notes"], list)


async def test_runs_lists_newest_first_and_filters(call, store):
    make_run(store, "aaaa1111", created="2026-01-01T00:00:00.000Z")
    make_run(store, "bbbb2222", "failed", created="2026-01-02T00:00:00.000Z", name="spam")
    listed = await call("runs")
    assert [run["id"] for run in listed["items"]] == ["bbbb2222", "aaaa1111"]
    assert isinstance(listed["cursor"], int)
    assert [run["id"] for run in (await call("runs", state="failed"))["items"]] == ["bbbb2222"]
    assert [run["id"] for run in (await call("runs", query="topi", limit=5))["items"]] == ["aaaa1111"]


async def test_run_by_id_prefix_and_name(call, store):
    make_run(store, metrics={"accuracy": float("nan")})
    for text in ("abcd1234", "abcd", "topics", "last"):
        run = await call("run", run=text)
        assert run["id"] == "abcd1234"
        assert run["metrics"] == {"accuracy": None}


async def test_history_is_sampled(call, store):
    run = make_run(store)
    for step in range(300):
        run.series.append(step, step / 10, {"loss": 1 / (step + 1)})
    drawn = await call("history", run="topics", points=50)
    assert drawn["total"] == 300
    assert 40 <= len(drawn["series"]["loss"]["value"]) <= 50
    assert set(drawn["series"]["loss"]) == {"step", "time", "value"}


async def test_log_goes_on_from_an_offset(call, store):
    run = make_run(store)
    run.log.write_text("first\n", encoding="utf-8")
    one = await call("log", run="topics")
    assert (one["text"], one["end"]) == ("first\n", True)
    run.log.write_text("first\nsecond 二\n", encoding="utf-8")
    two = await call("log", run="topics", offset=one["offset"])
    assert two["text"] == "second 二\n"


async def test_stop_asks_the_worker(call, worker):
    _, run = worker
    said = await call("stop", run=run.id)
    assert said["state"] == "running"
    assert run.stop_requested()


async def test_delete_removes_the_run(call, refused, store):
    run = make_run(store)
    await call("delete", run="abcd1234")
    assert not run.path.exists()
    assert (await refused("run", run="abcd1234"))[0] == 404


async def test_settings_are_kept(call):
    assert (await call("settings", language="zh"))["language"] == "zh"


async def test_settings_say_what_language_the_answers_are_in(call, monkeypatch):
    monkeypatch.delenv("MODELNOOK_LANG", raising=False)
    assert (await call("settings", language="zh"))["speaks"] == "zh"
    monkeypatch.setenv("MODELNOOK_LANG", "en")
    said = await call("settings")
    assert (said["language"], said["speaks"]) == ("zh", "en")


async def test_sources_are_listed(call):
    names = {item["name"] for item in (await call("sources"))["items"]}
    assert {"local", "pip", "hub"} <= names


@pytest.mark.parametrize("method", ["run", "history", "log", "stop", "resume", "delete"])
async def test_a_run_that_is_not_there(refused, store, method):
    make_run(store, name="topics")
    status, error = await refused(method, run="topisc")
    assert status == 404
    assert "topics" in error["hint"]


async def test_a_finished_run_cannot_be_stopped_or_resumed(refused, store):
    make_run(store)
    for method in ("stop", "resume"):
        status, error = await refused(method, run="topics")
        assert (status, error["code"].split(".")[0]) == (409, "jobs")


async def test_a_live_run_cannot_be_deleted(refused, worker):
    _, run = worker
    status, error = await refused("delete", run=run.id)
    assert (status, error["code"]) == (409, "jobs.live")


@pytest.fixture
def interpreter(tmp_path):
    """An interpreter of another environment that only notes how it was called, and in which session."""
    script = tmp_path / "python-of-the-run"
    script.write_text(f'#!/bin/sh\necho "$@" $(cut -d" " -f6 /proc/$$/stat) $$ >> {tmp_path}/called\nsleep 60\n')
    script.chmod(0o755)
    yield script
    for line in _called(tmp_path):
        os.killpg(int(line[-1]), signal.SIGKILL)


def _called(folder):
    try:
        return [line.split() for line in (folder / "called").read_text().splitlines()]
    except FileNotFoundError:
        return []


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="reads Linux's process table")
async def test_resume_starts_the_runs_own_interpreter_in_its_own_session(call, refused, store, interpreter, tmp_path):
    run = make_run(store, state="stopped")
    write_json(run.path / "recipe.json", replace(run.recipe(), python=str(interpreter)).to_dict())
    said = await call("resume", run="topics")
    assert said["state"] == "queued"
    # The second one comes too late: one resume, one worker.
    status, error = await refused("resume", run="topics")
    assert (status, error["code"].split(".")[0]) == (409, "jobs")
    for _ in range(100):
        if _called(tmp_path):
            break
        await asyncio.sleep(0.05)
    ((*arguments, session, pid),) = _called(tmp_path)
    assert arguments == ["-P", "-m", "modelnook.jobs.worker", run.id, "0"]
    assert session == pid


async def test_compare_puts_models_side_by_side(refused):
    status, error = await refused("compare", refs=["local:none", "local:nothing"])
    assert status == 404
    assert "none" in error["message"]
