"""Who is asked what: opening a list asks nobody, a source that is silent isn't asked again at once."""

from __future__ import annotations

import asyncio

import pytest

from modelnook.catalog.index import CatalogIndex
from modelnook.domain.errors import NotFoundError, OfflineError
from modelnook.domain.model import ModelInfo
from modelnook.server.catalogue import Catalogue
from modelnook.server.opened import OpenedStore


class Elsewhere:
    """The child's part: notes what it is asked, answers what the test says."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict]] = []
        self.answer: dict = {"items": [], "query": "", "notes": [], "silent": {}, "total": 0}
        self.error: Exception | None = None

    async def __call__(self, method, params):
        self.asked.append((method, params))
        if self.error:
            raise self.error
        return {**self.answer}


@pytest.fixture
def elsewhere():
    return Elsewhere()


@pytest.fixture
def catalogue(store, elsewhere):
    async def here(function, params):
        return await asyncio.to_thread(function, params)

    entries = [ModelInfo("pip:tiny", "tiny", "pip", name="tiny"), ModelInfo("hub:a/tiny", "a/tiny", "hub", name="tiny")]
    for entry in entries:
        store.index.put_models(entry.source, [entry])
    return Catalogue(OpenedStore(), here, elsewhere)


@pytest.fixture
def online(monkeypatch):
    monkeypatch.setenv("MODELNOOK_OFFLINE", "0")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


_PACKAGES = ("search", {"source": "pip", "limit": 1})


async def test_offline_only_the_packages_are_looked_through_and_only_once(catalogue, elsewhere):
    for _ in range(3):
        found = await catalogue.search({"query": "tiny"})
    assert elsewhere.asked == [_PACKAGES]
    assert {item["ref"] for item in found["items"]} == {"pip:tiny", "hub:a/tiny"}


async def test_what_was_typed_is_asked_elsewhere(online, catalogue, elsewhere):
    elsewhere.answer["items"] = [{"ref": "hub:b/tiny"}]
    found = await catalogue.search({"query": "tiny", "limit": 5})
    assert elsewhere.asked == [("search", {"query": "tiny", "limit": 5})]
    assert found["items"] == [{"ref": "hub:b/tiny"}]


@pytest.mark.parametrize("params", [{}, {"query": "  "}, {"query": "tiny", "source": "local"}, {"sort": "size"}])
async def test_opening_a_list_asks_nobody(online, catalogue, elsewhere, params):
    await catalogue.search(params)
    assert elsewhere.asked in ([], [_PACKAGES])


async def test_a_silent_source_is_not_asked_again_at_once(online, catalogue, elsewhere, monkeypatch):
    elsewhere.answer |= {"notes": ["hub didn't answer"], "silent": {"hub": "hub didn't answer"}}
    await catalogue.search({"query": "tiny"})
    found = await catalogue.search({"query": "tin"})
    assert len(elsewhere.asked) == 1, "nobody else is to be asked"
    assert found["notes"] == ["hub didn't answer"]
    assert found["total"] == 2
    monkeypatch.setattr(catalogue, "_quiet", {"hub": (0.0, "")})
    elsewhere.answer |= {"notes": [], "silent": {}}
    assert (await catalogue.search({"query": "tin"}))["notes"] == []
    assert elsewhere.asked[-1] == ("search", {"query": "tin"})


async def test_the_others_are_asked_while_one_is_silent(online, catalogue, elsewhere):
    from modelnook import api

    api.add_source("corp", "http://127.0.0.1:9")
    elsewhere.answer |= {"notes": ["corp didn't answer"], "silent": {"corp": "corp didn't answer"}}
    await catalogue.search({"query": "tiny"})
    elsewhere.answer |= {"items": [{"ref": "hub:b/tiny"}], "notes": [], "silent": {}}
    found = await catalogue.search({"query": "tin"})
    live = ["local", "pip", "hub"]
    assert elsewhere.asked[-1] == ("search_live", {"live": live, "params": {"query": "tin"}})
    assert (found["items"], found["notes"]) == ([{"ref": "hub:b/tiny"}], ["corp didn't answer"])
    # Of the silent one alone what is known is told.
    found = await catalogue.search({"query": "tin", "source": "corp"})
    assert (len(elsewhere.asked), found["notes"]) == (2, ["corp didn't answer"])


async def test_a_source_that_says_something_has_answered(online, catalogue, elsewhere):
    elsewhere.answer |= {"notes": ["hub allows no more requests for a minute"], "silent": {}}
    await catalogue.search({"query": "tiny"})
    await catalogue.search({"query": "tin"})
    assert elsewhere.asked == [("search", {"query": "tiny"}), ("search", {"query": "tin"})]


async def test_too_slow_an_answer_is_replaced_by_what_is_known(online, catalogue, elsewhere):
    elsewhere.error = OfflineError("server.too_slow", method="search", seconds=8)
    found = await catalogue.search({"query": "tiny"})
    assert {item["ref"] for item in found["items"]} == {"pip:tiny", "hub:a/tiny"}
    assert len(found["notes"]) == 1
    assert "8 s" in found["notes"][0]


@pytest.mark.parametrize("error", [OfflineError("server.too_slow", method="info", seconds=8), NotFoundError("x.y")])
async def test_a_model_that_was_seen_before_is_still_shown(catalogue, elsewhere, error):
    elsewhere.error = error
    known = await catalogue.info({"ref": "hub:a/tiny"})
    assert (known["name"], known["terms"]["kind"]) == ("tiny", known["license_kind"])
    with pytest.raises(type(error)):
        await catalogue.info({"ref": "hub:a/tin"})


async def test_filters_hold_for_what_is_remembered(catalogue):
    assert (await catalogue.search({"query": "tiny", "source": "pip"}))["total"] == 1
    assert (await catalogue.search({"task": "token-classification", "params": ">1B"}))["total"] == 0
    assert len((await catalogue.search({"query": "tiny", "limit": 1}))["items"]) == 1


async def test_a_full_page_of_the_index_asks_nobody(online, catalogue, elsewhere, store):
    entries = [ModelInfo(f"hub:a/tiny-{n}", f"a/tiny-{n}", "hub", downloads=100 - n) for n in range(30)]
    CatalogIndex(store.home).write("hub", entries)
    found = await catalogue.search({"query": "tiny", "limit": 20})
    assert elsewhere.asked == []
    assert len(found["items"]) == 20
    elsewhere.error = OfflineError("server.too_slow", method="info", seconds=8)
    assert (await catalogue.info({"ref": "hub:a/tiny-7"}))["downloads"] == 93
    await catalogue.search({"query": "tiny", "limit": 200})
    assert elsewhere.asked[-1][0] == "search"
