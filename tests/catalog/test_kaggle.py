"""The source ``kaggle`` over Kaggle's own clients, against a stand-in on loopback."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.standins.kaggle import KaggleStandIn

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
    LARGE,
    NEEDED,
    ODD,
    ODD_ANSWERS,
    WEIGHTS,
    added,
    files,
    fills_up,
    gguf,
    killed_in_mid_file,
    limit_is_waited_out,
    odd_answers_are_told,
    odd_papers_are_read,
    packed_is_read_by_its_header,
    quiet,
    range_start,
    reached_by_the_verbs,
    silent_offline,
)

pytest.importorskip("kagglehub")
# Each download is a process of its own.
pytestmark = pytest.mark.slow

SITE = "https://www.kaggle.com"
ID = "alice/bert/transformers/bert-tiny-zh"
TINY = ModelRef("kaggle", ID)
TOKEN = "canary_that_must_not_be_seen"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleStandIn]:
    from kagglesdk import kaggle_env

    monkeypatch.setattr(remote, "_KNOWN", {})
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    with KaggleStandIn() as server:
        # The client has a fixed list of addresses; one of them is this machine.
        monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, server.url)
        server.add_version(ID, FILES)
        yield server


@pytest.fixture
def source(site: KaggleStandIn) -> Source:
    return added("kaggle", SITE, "kaggle")


def test_search_finds_variations(site: KaggleStandIn, source: Source) -> None:
    site.add_version("alice/bert/tensorFlow2/bert-en", {"saved_model.pb": b"x"})
    found = {row.ref: row for row in source.search(Query("bert"))}
    assert set(found) == {f"kaggle:{ID}", "kaggle:alice/bert/tensorFlow2/bert-en"}
    row = found[f"kaggle:{ID}"]
    assert (row.license, row.revision, row.bytes) == ("apache-2.0", "1", sum(map(len, FILES.values())))
    assert [r.ref for r in source.listing(1)] == [f"kaggle:{ID}"]


def test_what_a_row_does_not_say_passes_no_filter(site: KaggleStandIn, source: Source) -> None:
    site.add_version("bob/vit/transformers/base", FILES, tags=("Image Classification", "English", "Nature"))
    assert len(source.search(Query())) == 2
    for filters in ({"task": "image-classification"}, {"language": "en"}):
        [row] = source.search(Query(**filters))  # type: ignore[arg-type]
        assert (row.id, row.task, row.language) == ("bob/vit/transformers/base", "image-classification", ("en",))
    assert source.search(Query(task="fill-mask")) == source.search(Query(language="zh")) == []


def test_the_site_sorts_as_asked(site: KaggleStandIn, source: Source) -> None:
    for sort, order in (("relevance", "DOWNLOAD_COUNT"), ("likes", "VOTE_COUNT"), ("updated", "UPDATE_TIME")):
        source.search(Query("bert", sort=sort))
        assert site.seen("ListModels")[-1].json["sortBy"] == f"LIST_MODELS_ORDER_BY_{order}"


def test_info_without_the_weights(site: KaggleStandIn, source: Source) -> None:
    info = source.info(TINY)
    assert (info.parameters, info.labels, info.license, info.revision) == (44, ("a", "b"), "apache-2.0", "1")
    assert info.bytes == sum(len(FILES[name]) for name in NEEDED)
    assert info.task == "text-classification"


@pytest.mark.parametrize("answer", ODD_ANSWERS)
def test_a_place_that_answers_something_else(site: KaggleStandIn, source: Source, answer: str) -> None:
    odd_answers_are_told(site, source, TINY, answer)


def test_odd_papers_and_packed_weights(site: KaggleStandIn, source: Source) -> None:
    site.add_version("eve/odd/transformers/x", ODD)
    odd_papers_are_read(source, ModelRef("kaggle", "eve/odd/transformers/x"))
    site.add_version("eve/packed/gguf/q8", {"model-q8.gguf": gguf(60_000, padding=100_000)})
    packed_is_read_by_its_header(source, ModelRef("kaggle", "eve/packed/gguf/q8"))


@pytest.mark.parametrize("base", ["google/bert/transformers/base", "https://example.org/base"])
def test_what_a_variation_was_made_from(site: KaggleStandIn, source: Source, base: str) -> None:
    site.add_version("eve/bert/transformers/tuned", {**FILES, "README.md": b"no card"})
    site.variations["eve/bert/transformers/tuned"].base = base
    info = source.info(ModelRef("kaggle", "eve/bert/transformers/tuned"))
    assert info.base_model == (base if base.startswith("https") else f"kaggle:{base}")


def test_terms_that_are_not_accepted_are_told_with_their_page(site: KaggleStandIn, source: Source) -> None:
    site.fail("POST .*DownloadModelInstanceVersion", 403)
    page = f"{site.url}/models/{ID}"
    info = mn.info(f"kaggle:{ID}")
    assert (info.gated, info.page, info.license, info.parameters) == (True, page, "apache-2.0", None)
    assert page in cards.text(info)
    with pytest.raises(RefusedError) as caught:
        source.fetch(TINY, quiet)
    assert caught.value.code == "hub.not_let_in"
    assert page in caught.value.hint
    site.heal()
    info = mn.info(f"kaggle:{ID}")
    assert (info.gated, info.parameters, info.dtypes) == (False, 44, {"F32": 44})


def test_versions(site: KaggleStandIn, source: Source) -> None:
    first = source.fetch(TINY, quiet)
    site.add_version(ID, {**FILES, "vocab.txt": b"c"})
    second = source.fetch(TINY, quiet)
    assert (first.name, second.name) == ("1", "2")
    assert (second / "vocab.txt").read_bytes() == b"c"
    before = len(site.requests)
    assert source.fetch(TINY.at("1"), quiet) == first
    assert len(site.requests) == before
    for revision in ("9", "main"):
        with pytest.raises(NotFoundError):
            source.fetch(TINY.at(revision), quiet)


def test_what_was_brought_is_whole_and_told(site: KaggleStandIn, source: Source) -> None:
    told: list[Event] = []
    folder = source.fetch(TINY, told.append)
    assert files(folder) == NEEDED
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert isinstance(told[-1], Progress)
    assert told[-1].step == told[-1].total == sum(len(FILES[name]) for name in NEEDED)


def test_a_part_is_gone_on_with(site: KaggleStandIn, source: Source) -> None:
    site.add_version("alice/bert/transformers/large", {**FILES, "model.safetensors": LARGE})
    ref = ModelRef("kaggle", "alice/bert/transformers/large")
    stage = source.cache.path_of(ref.id, "1")  # type: ignore[attr-defined]
    stage = stage.with_name(f".{stage.name}.part")
    stage.mkdir(parents=True)
    (stage / "model.safetensors").write_bytes(LARGE[:10_000_000])
    assert (source.fetch(ref, quiet) / "model.safetensors").read_bytes() == LARGE
    assert "bytes=10000000-" in {r.headers.get("range") for r in site.seen("/_store/")}


def test_a_killed_pull_goes_on_where_it_was(
    site: KaggleStandIn, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_version("alice/bert/transformers/large", {**FILES, "model.safetensors": LARGE})
    site.throttle.sleep = 0.05
    # The job's process knows the client's own address of this machine, which has another port.
    monkeypatch.setenv("HTTP_PROXY", site.url)
    run = killed_in_mid_file(source, "kaggle:alice/bert/transformers/large")
    assert [held.part for held in source.held()] == [True]
    site.throttle.sleep = 0
    folder = mn.pull("kaggle:alice/bert/transformers/large")
    assert isinstance(folder, Path)
    assert files(folder) == NEEDED
    assert (folder / "model.safetensors").read_bytes() == LARGE
    assert range_start(site.seen("/_store/.*/model.safetensors")[-1]) >= 4_000_000
    assert [r.id for r in mn.runs(kind="pull")] == [run.id]


def test_what_isnt_what_its_checksum_says_is_not_kept(site: KaggleStandIn, source: Source) -> None:
    site.wrong.add("model.safetensors")
    with pytest.raises(StoreError) as caught:
        source.fetch(TINY, quiet)
    assert caught.value.code == "hub.damaged_again"
    assert source.here(TINY) is None
    site.wrong.clear()
    assert files(source.fetch(TINY, quiet)) == NEEDED


def test_a_token_is_asked_for_and_goes_nowhere_else(site: KaggleStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    site.token = TOKEN
    with pytest.raises(UsageError) as caught:
        added("kaggle", SITE, "kaggle").info(TINY)
    assert "KAGGLE_API_TOKEN" in caught.value.hint
    known = added("kaggle", SITE, "kaggle", token_env="MY_KAGGLE")
    monkeypatch.setenv("MY_KAGGLE", TOKEN)
    assert files(known.fetch(TINY, quiet)) == NEEDED
    assert all("authorization" not in r.headers for r in site.seen("/_store/"))


BASIC = "Basic " + base64.b64encode(b"alice:key").decode()


@pytest.mark.parametrize(
    ("login", "sent"),
    [
        ({"KAGGLE_API_TOKEN": TOKEN}, f"Bearer {TOKEN}"),
        ({"KAGGLE_USERNAME": "alice", "KAGGLE_KEY": "key"}, BASIC),
        ({}, BASIC),
    ],
    ids=["token", "key", "file"],
)
def test_a_persons_own_login_is_sent_with_our_name(
    site: KaggleStandIn, source: Source, login: dict[str, str], sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in login.items():
        monkeypatch.setenv(name, value)
    if not login:
        file = Path.home() / ".kaggle" / "kaggle.json"
        file.parent.mkdir()
        file.write_text('{"username": "alice", "key": "key"}')
    source.search(Query("bert"))
    [request] = site.seen("ListModels")
    assert (request.headers["authorization"], request.headers["user-agent"]) == (sent, "modelnook")


@pytest.mark.slow
def test_a_limit_is_waited_out_and_said(site: KaggleStandIn, source: Source) -> None:
    limit_is_waited_out(site, source, TINY, "POST /api")


REFUSALS = {403: "hub.not_let_in", 404: "hub.no_model", 429: "hub.rate_limit", 503: "hub.unreachable"}


@pytest.mark.parametrize("status", REFUSALS)
def test_refusals_are_sentences(site: KaggleStandIn, source: Source, status: int) -> None:
    site.fail("POST /api", status, headers={"Retry-After": "33"})
    with pytest.raises(ModelnookError) as caught:
        source.info(TINY)
    assert caught.value.code == REFUSALS[status]
    assert status != 429 or "33 s" in caught.value.hint


@pytest.mark.parametrize("id", ["alice/bert", "a/b/nosuchframework/c", "../../../x"])
def test_a_name_that_is_none(site: KaggleStandIn, source: Source, id: str) -> None:
    with pytest.raises(UsageError, match="name of a model on Kaggle"):
        source.info(ModelRef("kaggle", id))
    assert not site.requests


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_leaves_nothing_half_visible(site: KaggleStandIn, source: Source) -> None:
    fills_up(source, TINY, "model.safetensors")


@pytest.mark.slow
def test_the_verbs_reach_it(site: KaggleStandIn, source: Source) -> None:
    reached_by_the_verbs(source, f"kaggle:{ID}")


def test_offline_no_socket_is_opened(site: KaggleStandIn, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    silent_offline(site, source, TINY, ModelRef("kaggle", "bob/bert/transformers/other"), monkeypatch)


class TestKaggle(SourceSuite):
    kind = "kaggle"

    @pytest.fixture
    def source(self, site: KaggleStandIn) -> Source:
        return added("kaggle", SITE, "kaggle")

    @pytest.fixture
    def ref(self) -> ModelRef:
        return TINY
