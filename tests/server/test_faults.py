"""What goes wrong is one sentence and a next step, with the right status; the extension and the server live on."""

from __future__ import annotations

import json
import sqlite3

import pytest
from tests.server.conftest import make_run, told
from tornado.httpclient import HTTPClientError


async def _post(jp_fetch, body, method="runs"):
    with pytest.raises(HTTPClientError) as caught:
        await jp_fetch("modelnook", "api", method, method="POST", body=body)
    return told(caught.value)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", "server.bad_json"),
        ("[1]", "server.not_object"),
        ('"text"', "server.not_object"),
        ("null", "server.not_object"),
        (b"\xff\xfe{", "server.bad_json"),
        ("[" * 100_000, "server.bad_json"),
        (json.dumps({"query": "\ud800"}), "server.bad_json"),
        (json.dumps({"query": "x" * 1_000_001}), "server.too_long"),
    ],
)
async def test_bodies_that_cannot_be_read(jp_fetch, body, code):
    status, error = await _post(jp_fetch, body)
    assert (status, error["code"]) == (400, code)


async def test_an_empty_body_is_no_arguments(jp_fetch):
    answer = await jp_fetch("modelnook", "api", "runs", method="POST", body="")
    assert json.loads(answer.body)["items"] == []


async def test_an_unknown_method_is_told_its_near_miss(refused):
    status, error = await refused("serch", query="x")
    assert status == 404
    assert "search" in error["hint"]


async def test_paths_below_a_method_are_no_method(jp_fetch):
    status, _ = await _post(jp_fetch, "{}", "runs/abcd1234")
    assert status == 404


@pytest.mark.parametrize(
    ("method", "params", "word"),
    [
        ("runs", {"limt": 3}, "limit"),
        ("delete", {}, "run"),
        ("runs", {"limit": "many"}, "limit"),
        ("runs", {"limit": True}, "limit"),
        ("runs", {"limit": 10**30}, "limit"),
        ("runs", {"limit": -1}, "limit"),
        ("runs", {"limit": 0}, "limit"),
        ("run", {"run": 5}, "run"),
        ("compare", {"refs": "a"}, "refs"),
        ("compare", {"refs": [1]}, "refs"),
        ("runs", {"state": "runing"}, "running"),
        ("search", {"sort": "dowloads"}, "downloads"),
        ("search", {"params": "big"}, "10M-500M"),
        ("settings", {"langage": "zh"}, "language"),
        ("settings", {"language": "xx"}, "zh"),
        ("info", {"ref": ""}, "reference"),
        ("info", {"ref": "./\0"}, "reference"),
        ("info", {"ref": "hub:a/\0b"}, "reference"),
        ("compare", {"refs": ["~\0/a", "b"]}, "reference"),
    ],
)
async def test_wrong_arguments_are_the_callers(refused, store, method, params, word):
    status, error = await refused(method, **params)
    assert status == 400, error
    assert word in error["message"] + error["hint"]


async def test_a_store_of_a_newer_version(refused, call, home):
    home.mkdir(parents=True)
    (home / "store.json").write_text('{"schema": 9, "oldest_reader": 9}')
    for method in ("runs", "search", "events"):
        status, error = await refused(method)
        assert (status, error["code"]) == (500, "store.newer")
        assert "pip install -U modelnook" in error["hint"]
    # Repaired, or upgraded: no restart of the server is needed.
    (home / "store.json").unlink()
    assert (await call("runs"))["items"] == []


async def test_a_home_that_cannot_be_written(refused, home, monkeypatch):
    home.parent.joinpath("file").write_text("no folder")
    monkeypatch.setenv("MODELNOOK_HOME", str(home.parent / "file" / "below"))
    for method in ("runs", "events", "search"):
        status, error = await refused(method)
        assert status == 500
        assert "MODELNOOK_HOME" in error["message"] + error["hint"]


async def test_a_damaged_index_is_made_anew(call, store, home):
    make_run(store)
    assert len((await call("runs"))["items"]) == 1
    for name in ("index.sqlite-wal", "index.sqlite-shm", "index.sqlite"):
        (home / name).unlink(missing_ok=True)
    (home / "index.sqlite").write_bytes(b"no database" * 500)
    assert [run["id"] for run in (await call("runs"))["items"]] == ["abcd1234"]


async def test_a_locked_index_does_not_stall_the_server(call, store, jp_fetch, home):
    make_run(store)
    holder = sqlite3.connect(home / "index.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        answer = await jp_fetch("api", "status", request_timeout=3)
        assert answer.code == 200
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert len((await call("runs"))["items"]) == 1


async def test_a_bug_of_ours_is_a_500_in_the_same_form(refused, jp_serverapp, monkeypatch):
    async def broken(method, params):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(jp_serverapp.web_app.settings["modelnook_answers"], "answer", broken)
    status, error = await refused("runs")
    assert (status, error["code"]) == (500, "core.internal")
    assert "oops" in error["message"]


async def test_errors_speak_the_persons_language(refused, monkeypatch):
    monkeypatch.setenv("MODELNOOK_LANG", "zh")
    _, error = await refused("runs", state="runing")
    assert "是不是" in error["hint"]


async def test_texts_come_as_they_are_and_uncached(jp_fetch, store):
    make_run(store, name="主题 <b>")
    answer = await jp_fetch("modelnook", "api", "runs", method="POST", body="{}")
    assert "主题 <b>" in answer.body.decode()
    assert answer.headers["Content-Type"].startswith("application/json")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
