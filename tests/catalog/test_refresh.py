"""`sources refresh hub`: a call a thousand models, few later, waits where the hub asks to, goes on after a kill."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiohttp import web
from tests.standins.hub import HubStandIn
from tests.standins.hub_repos import as_file, readme
from tests.standins.serving import LoopbackServer

import modelnook as mn
from modelnook import api
from modelnook.catalog import hub_list
from modelnook.catalog.base import Query
from modelnook.catalog.hub import HubSource
from modelnook.catalog.index import CatalogIndex
from modelnook.catalog.refresh import Pages, refresh
from modelnook.domain.errors import ConflictError, OfflineError
from modelnook.domain.model import ModelInfo
from modelnook.settings import home, save_sources

MODELS = 250
LIST = r"GET /api/models\?"


@pytest.fixture
def hub(hub_server: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> HubStandIn:
    """A hub whose pages are a hundred models long: calls are counted in hundreds, not in thousands."""
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    monkeypatch.setattr(hub_list, "_BACKOFF", 0.01)
    tags = ["en", "transformers", "region:us", "license:mit", "base_model:alice/model-249"]
    task = {"pipeline_tag": "text-classification"}
    for n in range(MODELS):
        hub_server.add_repo(f"alice/model-{n}", {"config.json": "{}"}, downloads=n, likes=n // 9, tags=tags, **task)
    return hub_server


@pytest.fixture
def index() -> CatalogIndex:
    return CatalogIndex(home())


def calls(hub: HubStandIn) -> int:
    return len(hub.seen(r"GET /api/models$"))


def refreshed(limit: int = MODELS) -> tuple[int | None, str]:
    [(_, models, note)] = api.refresh_sources("hub", limit=limit).rows
    return models, note


def test_from_nothing_a_call_a_page(hub: HubStandIn, index: CatalogIndex) -> None:
    models, note = refreshed()
    assert (models, calls(hub)) == (MODELS, 3)
    assert "calls made: 3" in note
    assert hub.requests[0].values("limit") == [str(MODELS)]
    best = next(iter(index.all("hub")))
    assert (best.ref, best.downloads, best.license, best.language) == ("hub:alice/model-249", 249, "mit", ("en",))
    assert best.task == "text-classification"
    assert api.sources().rows[-1][4] == MODELS
    assert hub_list.PAGE * 50 >= 50_000


class LongList(LoopbackServer):
    """A hub's list as long as its longest pages make it."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.pages = [
            json.dumps([{"id": f"alice/m{n}", "downloads": rows - n, "tags": ["bert"]} for n in range(at, at + 1000)])
            for at in range(0, rows, 1000)
        ]

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/api/models", self._list)

    async def _list(self, request: web.Request) -> web.Response:
        at = int(request.query.get("cursor", 0))
        more = {"Link": f'<{self.url}/api/models?cursor={at + 1}>; rel="next"'} if at + 1 < len(self.pages) else {}
        return web.Response(text=self.pages[at], content_type="application/json", headers=more)


@pytest.mark.slow
def test_the_fifty_thousand_most_used_in_fifty_calls(index: CatalogIndex) -> None:
    with LongList(60_000) as server:
        save_sources(lambda _: [{"name": "long", "url": server.url, "kind": "hub"}])
        [(_, models, note)] = api.refresh_sources("long", limit=50_000).rows
        assert (models, len(server.requests)) == (50_000, 50)
        assert "calls made: 50" in note
        before = len(server.requests)
        api.refresh_sources("long", limit=50_000)
        assert len(server.requests) - before <= 10
    assert mn.search("m49999", source="long")[0].id == "alice/m49999"


def test_later_only_what_changed_is_asked_for(hub: HubStandIn, index: CatalogIndex) -> None:
    refreshed()
    before = calls(hub)
    hub.repo("alice/model-3").downloads = 1_000_000
    hub.repo("alice/model-3").commit({"README.md": as_file("README.md", readme({"license": "gpl-3.0"}))}, "relicensed")
    hub.add_repo("bob/new", {"config.json": "{}"}, downloads=500)
    models, _ = refreshed()
    assert models == MODELS
    assert calls(hub) - before <= 10
    first, second = [m for _, m in zip(range(2), index.all("hub"), strict=False)]
    assert (first.id, first.downloads, first.updated) == ("alice/model-3", 1_000_000, "2026-01-02T00:00:00+00:00")
    assert second.id == "bob/new"
    assert len({m.id for m in index.all("hub")}) == MODELS
    assert refreshed(limit=5)[0] == MODELS


def test_a_refresh_is_ten_calls_at_most_however_short_the_pages_are(hub: HubStandIn, index: CatalogIndex) -> None:
    refreshed()
    hub.state.page_size = 20
    for n in range(200):
        hub.repo(f"alice/model-{n}").commit({"README.md": as_file("README.md", "changed")}, "changed")
    before = calls(hub)
    assert refreshed()[0] == MODELS
    assert 0 < calls(hub) - before <= 10


@pytest.mark.slow
def test_after_a_month_the_list_is_gone_through_again_in_parts(
    hub: HubStandIn, index: CatalogIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    refreshed()
    hub.state.page_size = 20
    # One that goes, one that comes and is in no list of the first pages, one that stays and changes its count.
    del hub.state.repos["models", "alice/model-7"]
    hub.add_repo("bob/quiet", {"config.json": "{}"}, downloads=5)
    hub.repo("alice/model-20").downloads = 6
    monkeypatch.setattr("modelnook.catalog.refresh._WHOLE_AGAIN_AFTER", -1)

    def gone_through() -> int:
        for number in range(1, 20):
            before = calls(hub)
            refreshed()
            assert calls(hub) - before <= 10
            if not (index.folder / ".hub.round.jsonl").exists():
                return number
        return 0

    assert gone_through() > 2, "more than fits into one refresh"
    found = {m.id: m for m in index.all("hub")}
    assert found["alice/model-20"].downloads == 6
    assert "bob/quiet" in found
    assert "alice/model-7" in found, "one round may miss what moved between its parts"
    assert gone_through() > 2
    found = {m.id: m for m in index.all("hub")}
    assert "alice/model-7" not in found
    assert len(found) == MODELS


def test_a_longer_list_is_read_from_its_start(hub: HubStandIn) -> None:
    assert refreshed(limit=100)[0] == 100
    assert refreshed(limit=MODELS)[0] == MODELS


def test_the_index_answers_first_and_alone_when_offline(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    refreshed()
    before = len(hub.requests)
    found = mn.search("model", source="hub", limit=5)
    assert len(found) == 5
    assert len(hub.requests) == before
    assert mn.search("model-249", source="hub", limit=5)[0].id == "alice/model-249"
    assert len(hub.requests) == before + 1
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    found = mn.search("model-17", license="permissive", task="text-classification")
    assert found[0].ref == "hub:alice/model-17"
    assert "offline" in found.notes[0]
    known = mn.info("hub:Alice/model-17")
    assert (known.id, known.downloads, known.terms is not None) == ("alice/model-17", 17, True)
    assert "From the index as of 20" in known.summary
    with pytest.raises(OfflineError):
        mn.info("hub:alice/nothing")
    assert len(hub.requests) == before + 1
    hub.stop()
    monkeypatch.delenv("MODELNOOK_OFFLINE")
    found = mn.search("model-17", source="hub")
    assert found[0].id == "alice/model-17"
    assert "can't be reached" in found.notes[0]


@pytest.mark.slow
def test_a_rate_limit_is_told_and_waited_for(hub: HubStandIn, caplog: pytest.LogCaptureFixture) -> None:
    hub.rate_limit(LIST + ".*cursor=100", seconds=1)
    with caplog.at_level(logging.WARNING, "modelnook"):
        models, note = refreshed()
    assert models == MODELS
    assert "waiting 2 s" in caplog.text
    assert "2 s waited" in note


def test_a_limit_longer_than_minutes_ends_it_and_it_goes_on_later(hub: HubStandIn, index: CatalogIndex) -> None:
    hub.rate_limit(LIST + ".*cursor=200", seconds=3000, times=None)
    models, note = refreshed()
    assert models is None
    assert f"after 200 of {MODELS}" in note
    assert "goes on where it was" in note
    assert index.counts() == {}
    hub.heal()
    before = calls(hub)
    assert refreshed()[0] == MODELS
    assert calls(hub) - before == 1
    assert not [p for p in index.folder.iterdir() if p.suffix == ".jsonl"]


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was(hub: HubStandIn, index: CatalogIndex) -> None:
    hub.slow(LIST + ".*cursor=100", 20)
    script = f"from modelnook import api; api.refresh_sources('hub', limit={MODELS})"
    child = subprocess.Popen([sys.executable, "-c", script], env=dict(os.environ))
    end = time.monotonic() + 30
    while not hub.seen(r"GET /api/models$") or len(hub.requests) < 2:
        assert time.monotonic() < end
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    hub.heal()
    notes = index.folder / ".hub.pages.jsonl"
    # Half a line, as a kill in the middle of writing leaves it.
    with notes.open("ab") as file:
        file.write(b'{"sort": "downloads", "next": "", "ro')
    before = calls(hub)
    assert refreshed()[0] == MODELS
    assert calls(hub) - before == 2
    assert len({m.id for m in index.all("hub")}) == MODELS


def test_notes_are_as_old_as_their_last_page(tmp_path: Path) -> None:
    notes = Pages(tmp_path / "notes", 60)
    assert not notes.open({"limit": 3})
    notes.add("downloads", (ModelInfo("hub:a/b", "a/b", "hub"),), "next")
    then = time.time() - 50
    os.utime(notes.path, (then, then))
    assert notes.open({"limit": 3}), "nothing is added, and they grow no younger"
    assert notes.path.stat().st_mtime == pytest.approx(then, abs=1)
    with notes.path.open("ab") as file:
        file.write(b'{"sort": "likes"')
    assert notes.open({"limit": 3})
    notes.add("likes", (), "")
    assert (notes.at("downloads"), notes.at("likes")) == (("next", 1, False), ("", 0, True))
    then -= 20
    os.utime(notes.path, (then, then))
    assert not notes.open({"limit": 3})


def test_a_server_that_stumbles_is_asked_again(hub: HubStandIn) -> None:
    hub.fail(LIST + ".*cursor=100", 503, times=2)
    assert refreshed()[0] == MODELS


def test_two_refreshes_do_not_meet(hub: HubStandIn, index: CatalogIndex) -> None:
    from modelnook.catalog.refresh import _alone

    with _alone(index, "hub"), pytest.raises(ConflictError, match="another process"):
        refresh(HubSource(), index, 10, "2026-01-01T00:00:00Z")
    assert refresh(HubSource(), index, 10, "2026-01-01T00:00:00Z").models == 10


def test_an_address_on_another_host_is_not_followed(hub: HubStandIn, index: CatalogIndex) -> None:
    link = '<http://localhost:1/api/models?cursor=9>; rel="next"'
    hub.fail(
        LIST, 200, body='[{"id": "eve/evil"}, {"id": "eve/../up"}, {"id": "eve/\\u001b[31m"}]', headers={"Link": link}
    )
    done = refresh(HubSource(), index, 50, "2026-01-01T00:00:00Z")
    assert (done.models, done.calls) == (1, 1)


def test_an_endpoint_without_a_list_and_one_that_is_off_say_so(
    hub: HubStandIn, index: CatalogIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.state.can_list = False
    assert "no list of models" in refreshed()[1]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OfflineError, match="was not read"):
        refresh(HubSource(), index, 10, "2026-01-01T00:00:00Z")


def test_a_chinese_question_is_put_to_the_hub_by_its_meaning(hub: HubStandIn) -> None:
    hub.add_repo("bob/zh-sentiment", {"config.json": "{}"}, tags=["zh"], downloads=1)
    found = HubSource().search(Query("中文情感"))
    assert [m.id for m in found] == ["bob/zh-sentiment"]
    asked = hub.seen("GET /api/models$")[-1]
    assert (asked.values("search"), asked.values("filter")) == (["sentiment"], ["zh"])


def test_a_full_disk_leaves_the_old_index(
    hub: HubStandIn, index: CatalogIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    from modelnook.catalog.index_file import IndexWriter

    refreshed(limit=20)

    def full(self: IndexWriter) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(IndexWriter, "_finish", full)
    models, note = refreshed()
    assert models is None
    assert "disk is full" in note
    assert index.counts() == {"hub": 20}
    assert not list(Path(index.folder).glob("*.tmp"))
