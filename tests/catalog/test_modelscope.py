"""The source ``modelscope`` over the site's own client, against a stand-in on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.standins.modelscope import ModelScopeStandIn

import modelnook as mn
from modelnook import cards
from modelnook.catalog import remote
from modelnook.catalog.base import Query, Source
from modelnook.domain.errors import ModelnookError, NotFoundError, RefusedError, StoreError, UsageError
from modelnook.domain.event import Event, Progress
from modelnook.domain.model import ModelRef
from modelnook.testing.sources import SourceSuite

from .remote import (
    FILES,
    JUDGED,
    LARGE,
    NEEDED,
    ODD,
    ODD_ANSWERS,
    WEIGHTS,
    added,
    evaluations_are_told,
    files,
    fills_up,
    gguf,
    killed_in_mid_file,
    odd_answers_are_told,
    odd_papers_are_read,
    packed_is_read_by_its_header,
    quiet,
    range_start,
    reached_by_the_verbs,
    silent_offline,
)

pytest.importorskip("modelscope_hub")

TINY = ModelRef("scope", "alice/tiny")
TOKEN = "canary_that_must_not_be_seen"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelScopeStandIn]:
    monkeypatch.setattr(remote, "_KNOWN", {})
    with ModelScopeStandIn() as server:
        server.add_model("alice/tiny", FILES, license="Apache License 2.0", downloads=7, tasks=["text-classification"])
        yield server


@pytest.fixture
def source(site: ModelScopeStandIn) -> Source:
    return added("scope", site.url, "modelscope")


def test_search_and_listing(site: ModelScopeStandIn, source: Source) -> None:
    for n in range(130):
        site.add_model(f"bob/m{n}", {}, downloads=n, license="mit")
    [row] = source.search(Query("tiny"))
    assert (row.ref, row.downloads, row.task) == ("scope:alice/tiny", 7, "text-classification")
    assert row.license == "apache-2.0"
    assert {r.license for r in source.search(Query("m", license="mit", limit=5))} == {"mit"}
    listed = source.listing(120)
    assert len(listed) == 120
    assert listed[0].id == "bob/m129"
    assert len({r.id for r in listed}) == 120


def test_the_site_sorts_as_asked(site: ModelScopeStandIn, source: Source) -> None:
    for sort, order in (("relevance", "downloads"), ("size", "downloads"), ("likes", "likes")):
        source.search(Query("tiny", sort=sort))
        assert site.seen("/models$")[-1].values("sort") == [order]


def test_what_a_row_does_not_say_passes_no_filter(site: ModelScopeStandIn, source: Source) -> None:
    site.add_model("bob/mute", {})
    assert {row.id for row in source.search(Query(task="text-classification"))} == {"alice/tiny"}
    assert source.search(Query(language="zh")) == []


def test_info_without_the_weights(site: ModelScopeStandIn, source: Source) -> None:
    info = source.info(TINY)
    assert (info.parameters, info.labels, info.downloads) == (44, ("a", "b"), 7)
    assert info.bytes == sum(len(FILES[name]) for name in NEEDED)
    assert {r.code for r in info.risks} == {"pickle"}
    weights = [r for r in site.seen("/repo$") if ("FilePath", "model.safetensors") in r.query]
    assert weights
    assert all("range" in r.headers for r in weights)


def test_the_cards_own_evaluations_are_told(site: ModelScopeStandIn, source: Source) -> None:
    site.add_model("eve/judged", {**FILES, "README.md": JUDGED})
    evaluations_are_told(source, ModelRef("scope", "eve/judged"))


@pytest.mark.parametrize("answer", ODD_ANSWERS)
def test_a_place_that_answers_something_else(site: ModelScopeStandIn, source: Source, answer: str) -> None:
    odd_answers_are_told(site, source, TINY, answer)


def test_a_row_of_other_forms_than_rows_have(site: ModelScopeStandIn, source: Source) -> None:
    odd: dict[str, Any] = {"tags": [{"x": 1}, "en", None], "tasks": [["x"]], "license": ["mit"], "likes": "many"}
    site.add_model("eve/odd", FILES, **odd)
    site.add_model("eve/[31m", FILES)
    found = mn.search("", source="scope", sort="likes")
    assert {row.id for row in found} == {"alice/tiny", "eve/odd"}
    [row] = [row for row in found if row.id == "eve/odd"]
    assert (row.tags, row.task, row.license, row.likes) == (("en",), None, "mit", None)
    assert source.info(ModelRef("scope", "eve/odd")).parameters == 44


def test_odd_papers_and_packed_weights(site: ModelScopeStandIn, source: Source) -> None:
    site.add_model("eve/odd", ODD)
    odd_papers_are_read(source, ModelRef("scope", "eve/odd"))
    site.add_model("eve/packed", {"model-q8.gguf": gguf(60_000, padding=100_000)})
    packed_is_read_by_its_header(source, ModelRef("scope", "eve/packed"))


def test_a_gated_model_says_where_to_ask(site: ModelScopeStandIn, source: Source) -> None:
    site.add_model("eve/closed", FILES, gated=True)
    page = f"{site.url}/models/eve/closed"
    site.fail("GET /api/v1/models/eve/closed/repo\\?", 403)
    info = mn.info("scope:eve/closed")
    assert (info.gated, info.page, info.parameters) == (True, page, None)
    assert page in cards.text(info)
    with pytest.raises(RefusedError) as caught:
        source.fetch(ModelRef("scope", "eve/closed"), quiet)
    assert page in caught.value.hint


@pytest.mark.slow
def test_a_killed_download_goes_on_where_it_was(site: ModelScopeStandIn, source: Source) -> None:
    site.add_model("alice/large", {**FILES, "model.safetensors": LARGE})
    site.throttle.sleep = 0.05
    run = killed_in_mid_file(source, "scope:alice/large")
    assert [held.part for held in source.held()] == [True]
    site.throttle.sleep = 0
    folder = mn.pull("scope:alice/large")
    assert isinstance(folder, Path)
    assert files(folder) == NEEDED
    assert (folder / "model.safetensors").read_bytes() == LARGE
    taken = [r for r in site.seen("/repo$") if ("FilePath", "model.safetensors") in r.query]
    assert range_start(taken[-1]) >= 1_000_000
    assert [r.id for r in mn.runs(kind="pull")] == [run.id], "it is the same run that goes on"


def test_a_branch_is_known_by_what_it_holds(site: ModelScopeStandIn, source: Source) -> None:
    first = source.info(TINY).revision
    folder = source.fetch(TINY.at(first), quiet)
    assert files(folder) == NEEDED
    site.add_model("alice/tiny", {**FILES, "vocab.txt": b"c"})
    assert source.fetch(TINY.at(first), quiet) == folder
    second = source.fetch(TINY, quiet)
    assert second != folder
    assert (second / "vocab.txt").read_bytes() == b"c"
    source.discard(TINY.at(first))
    with pytest.raises(NotFoundError) as caught:
        source.fetch(TINY.at(first), quiet)
    assert caught.value.code == "hub.no_revision"
    site.add_model("alice/tiny", FILES, revision="v1")
    assert (source.fetch(TINY.at("v1"), quiet) / "vocab.txt").read_bytes() == FILES["vocab.txt"]


def test_what_was_brought_is_whole_and_told(site: ModelScopeStandIn, source: Source) -> None:
    told: list[Event] = []
    folder = source.fetch(TINY, told.append)
    assert files(folder) == NEEDED
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert isinstance(told[-1], Progress)
    assert told[-1].step == told[-1].total == sum(len(FILES[name]) for name in NEEDED)
    assert not [r for r in site.requests if ("FilePath", "run.py") in r.query]


def test_a_part_is_gone_on_with(site: ModelScopeStandIn, source: Source) -> None:
    site.add_model("alice/large", {**FILES, "model.safetensors": LARGE})
    ref = ModelRef("scope", "alice/large")
    revision = source.info(ref).revision
    stage = source.cache.path_of(ref.id, revision)  # type: ignore[attr-defined]
    stage = stage.with_name(f".{stage.name}.part")
    stage.mkdir(parents=True)
    (stage / "model.safetensors.incomplete").write_bytes(LARGE[:10_000_000])
    assert (source.fetch(ref, quiet) / "model.safetensors").read_bytes() == LARGE
    ranges = {r.headers.get("range") for r in site.seen("/repo$") if ("FilePath", "model.safetensors") in r.query}
    assert "bytes=10000000-" in ranges


@pytest.mark.slow
def test_what_isnt_what_its_checksum_says_is_not_kept(site: ModelScopeStandIn, source: Source) -> None:
    site.wrong.add("vocab.txt")
    with pytest.raises(StoreError) as caught:
        source.fetch(TINY, quiet)
    assert caught.value.code == "hub.damaged_again"
    assert source.here(TINY) is None
    site.wrong.clear()
    assert files(source.fetch(TINY, quiet)) == NEEDED


def test_a_token_is_asked_for(site: ModelScopeStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    site.token = TOKEN
    known = added("scope", site.url, "modelscope", token_env="SCOPE_TOKEN")
    for said in ("", "another"):
        monkeypatch.setenv("SCOPE_TOKEN", said)
        with pytest.raises(ModelnookError) as caught:
            known.info(TINY)
        assert caught.value.code == "hub.bad_token"
        assert "SCOPE_TOKEN" in caught.value.hint
    monkeypatch.setenv("SCOPE_TOKEN", TOKEN)
    assert files(known.fetch(TINY, quiet)) == NEEDED


def test_the_client_sends_no_id_of_this_installation(site: ModelScopeStandIn, source: Source) -> None:
    source.fetch(TINY, quiet)
    agents = {r.headers["user-agent"] for r in site.requests}
    assert {agent.partition("session_id/")[2].partition(";")[0] for agent in agents} == {"0" * 32}


REFUSALS = {403: "hub.not_let_in", 404: "hub.no_model"}


@pytest.mark.parametrize("status", REFUSALS)
def test_refusals_are_sentences(site: ModelScopeStandIn, source: Source, status: int) -> None:
    site.fail("GET /(api|openapi)", status)
    with pytest.raises(ModelnookError) as caught:
        source.info(TINY)
    assert caught.value.code == REFUSALS[status]


def test_a_name_that_is_none(site: ModelScopeStandIn, source: Source) -> None:
    for id in ("a/b/c", "../x", "a/..", "a/b\x00"):
        with pytest.raises(UsageError, match="owner/name"):
            source.info(ModelRef("scope", id))
    assert not site.requests


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_leaves_nothing_half_visible(site: ModelScopeStandIn, source: Source) -> None:
    fills_up(source, TINY, "model.safetensors.incomplete")


def test_the_verbs_reach_it(site: ModelScopeStandIn, source: Source) -> None:
    reached_by_the_verbs(source, "scope:alice/tiny")


def test_offline_no_socket_is_opened(site: ModelScopeStandIn, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    silent_offline(site, source, TINY, ModelRef("scope", "bob/other"), monkeypatch)


class TestModelScope(SourceSuite):
    kind = "modelscope"

    @pytest.fixture
    def source(self, site: ModelScopeStandIn) -> Source:
        return added("scope", site.url, "modelscope")

    @pytest.fixture
    def ref(self) -> ModelRef:
        return TINY
