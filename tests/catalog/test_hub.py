"""The source ``hub`` over the real client, against a hub on loopback."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from tests.catalog.remote import gguf
from tests.standins.hub import HubStandIn, safetensors

import modelnook
from modelnook import cards
from modelnook.catalog import hub as hub_module
from modelnook.catalog.base import Query, Source
from modelnook.catalog.hub import HubSource
from modelnook.domain.errors import (
    ConflictError,
    ModelnookError,
    NotFoundError,
    OfflineError,
    RefusedError,
    StoreError,
    UnsupportedError,
    UsageError,
)
from modelnook.domain.event import Event, Progress
from modelnook.domain.model import ModelRef
from modelnook.settings import home, save_sources
from modelnook.testing.sources import SourceSuite

TINY = ModelRef("hub", "alice/tiny")
CARD = {
    "license": "apache-2.0",
    "language": ["en", "zh"],
    "pipeline_tag": "text-classification",
    "base_model": "b/base",
}
CONFIG = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "id2label": {"0": "ham", "1": "spam"},
}
WEIGHTS = safetensors({"enc.layer.0.w": (10, 4), "enc.layer.1.w": (10, 4), "head.b": (4,)})
EXTRAS = {
    "pytorch_model.bin": b"\x80\x02pickle",
    "run.py": "print('ran')",
    "onnx/model.onnx": b"onnx",
    "tokenizer.json": "{}",
    "vocab.txt": "a\nb",
    "trainer_state.json": "{}",
    "1_Pooling/config.json": "{}",
}
NEEDED = {
    "1_Pooling/config.json",
    "README.md",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "vocab.txt",
}
CANARY = "hf_canary_token_that_must_not_be_seen"


@pytest.fixture
def hub(hub_server: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> HubStandIn:
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    monkeypatch.setattr(hub_module, "_KNOWN", {})
    hub_server.add_repo(
        "alice/tiny",
        {"config.json": json.dumps(CONFIG), "model.safetensors": WEIGHTS, **EXTRAS},
        card=CARD,
        downloads=5,
    )
    return hub_server


def added(hub: HubStandIn, name: str = "mine", **more: Any) -> HubSource:
    save_sources(lambda _: [{"name": name, "url": hub.url, "kind": "hub", **more}])
    return HubSource(name)


def quiet(event: Event) -> None:
    """Nobody listens."""


def files(folder: Path) -> set[str]:
    return {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}


# -- search


def test_search_gives_rows_with_what_the_hub_says(hub: HubStandIn) -> None:
    [row] = HubSource().search(Query("tiny"))
    assert (row.ref, row.source, row.task, row.license) == (
        "hub:alice/tiny",
        "hub",
        "text-classification",
        "apache-2.0",
    )
    assert (row.language, row.parameters, row.base_model, row.downloads) == (("en", "zh"), 84, "b/base", 5)
    assert (row.architecture, row.formats) == ("BertForSequenceClassification", ("safetensors",))
    assert row.revision == hub.repo("alice/tiny").at("main").sha
    assert row.updated
    [asked] = hub.seen("GET /api/models$")
    assert asked.values("search") == ["tiny"]


def test_filters_go_along_and_are_applied_again(hub: HubStandIn) -> None:
    for n, licence in enumerate(("mit", "cc-by-nc-4.0", "gpl-3.0")):
        weights = {"model.safetensors": safetensors({"w": (1000, 10 * (n + 1))})}
        hub.add_repo(f"bob/m{n}", weights, card={"license": licence, "language": "zh", "pipeline_tag": "fill-mask"})
    look = HubSource().search

    def ids(**query: Any) -> set[str]:
        return {row.id for row in look(Query(**query))}

    for honest in (True, False):
        hub.state.can_search = honest
        assert ids(text="m1") == {"bob/m1"}
        assert ids(license="mit") == {"bob/m0"}
        assert ids(license="noncommercial") == {"bob/m1"}
        assert ids(task="fill-mask", params=(15_000.0, float("inf"))) == {"bob/m1", "bob/m2"}
        assert ids(language="zh", task="fill-mask") == {"bob/m0", "bob/m1", "bob/m2"}
        assert ids(text="zzz") == set()
    assert len(look(Query(limit=2))) == 2
    asked = hub.seen("GET /api/models$")
    assert [r.values("filter") for r in asked if r.values("filter")][:2] == [["license:mit"], ["zh"]]
    assert any(r.values("num_parameters") == ["min:15K"] for r in asked)


@pytest.mark.slow
def test_search_ends_at_its_deadline(hub: HubStandIn) -> None:
    hub.slow("GET /api/models", 30)
    start = time.monotonic()
    with pytest.raises(OfflineError) as caught:
        HubSource().search(Query("tiny"))
    assert caught.value.code == "hub.too_slow"
    assert time.monotonic() - start < 10


def test_an_endpoint_without_a_list_says_so(hub: HubStandIn) -> None:
    hub.state.can_list = False
    with pytest.raises(UnsupportedError, match="no list of models"):
        HubSource().search(Query("tiny"))


def test_an_address_that_is_no_hub_is_told_and_the_other_sources_answer(hub: HubStandIn) -> None:
    with HubStandIn() as page:
        page.fail("GET /", 200, body="<html>Welcome</html>")
        source = added(page)
        with pytest.raises(UnsupportedError) as caught:
            source.search(Query("tiny"))
        assert caught.value.code == "hub.odd_answer"
        with pytest.raises(UnsupportedError, match="answer as such a place does"):
            source.info(ModelRef("mine", "alice/tiny"))
        with pytest.raises(UnsupportedError, match="answer as such a place does"):
            list(source.pages().pages("downloads"))
        found = modelnook.search("tiny")
    assert [row.ref for row in found] == ["hub:alice/tiny"]
    assert "answer as such a place does" in found.notes[0]


# -- info


def test_info_without_a_byte_of_weights(hub: HubStandIn) -> None:
    repo = hub.repo("alice/tiny")
    repo.unsafe = ("pytorch_model.bin",)
    info = HubSource().info(TINY)
    assert (info.ref, info.revision) == ("hub:alice/tiny", repo.at("main").sha)
    assert (info.task, info.labels, info.parameters) == ("text-classification", ("ham", "spam"), 84)
    assert info.formats == ("safetensors", "onnx", "pickle")
    assert {r.code for r in info.risks} == {"pickle", "unsafe"}
    assert info.layers
    assert "layer  2 ×" in info.layers
    assert info.bytes == sum(len(hub.files("alice/tiny")[name]) for name in NEEDED)
    assert all("range" in r.headers for r in hub.seen("GET /_cdn/"))


def test_info_of_a_commit_is_asked_once(hub: HubStandIn) -> None:
    source = HubSource()
    info = source.info(TINY)
    before = len(hub.requests)
    again = source.info(TINY.at(info.revision))
    assert again.bytes == info.bytes
    assert again.ref == f"hub:alice/tiny@{info.revision}"
    assert len(hub.requests) == before


@pytest.mark.parametrize("how", ["auto_map", "tag"])
def test_code_of_a_repository_is_a_risk(hub: HubStandIn, how: str) -> None:
    config = {"model_type": "own", "auto_map": {"AutoModel": "run.Model"}} if how == "auto_map" else {}
    tags = ["custom_code"] if how == "tag" else []
    hub.add_repo("eve/own", {"config.json": json.dumps(config), "model.safetensors": WEIGHTS}, tags=tags)
    assert [r.code for r in HubSource().info(ModelRef("hub", "eve/own")).risks] == ["remote_code"]


# -- fetch


def test_fetch_brings_what_is_needed_and_nothing_else(hub: HubStandIn) -> None:
    events: list[Event] = []
    folder = HubSource().fetch(TINY, events.append)
    assert files(folder) == NEEDED
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert folder.is_relative_to(huggingface_hub.constants.HF_HUB_CACHE)
    told = [e for e in events if isinstance(e, Progress)]
    assert len({e.total for e in told}) == 1, "one progress for all the files"
    assert [e.step for e in told] == sorted(e.step for e in told)
    total = sum(len(hub.files("alice/tiny")[name]) for name in NEEDED)
    assert (told[-1].phase, told[-1].step, told[-1].total) == ("downloading", total, total)
    assert not [r for r in hub.requests if r.path.endswith((".py", ".bin", ".onnx"))]


def test_a_commit_that_is_here_is_not_asked_for(hub: HubStandIn) -> None:
    source = HubSource()
    revision = source.info(TINY).revision
    folder = source.fetch(TINY.at(revision), quiet)
    before = len(hub.requests)
    assert source.fetch(TINY.at(revision), quiet) == folder
    assert len(hub.requests) == before
    (folder / "vocab.txt").unlink()
    assert files(source.fetch(TINY.at(revision), quiet)) == NEEDED


def test_a_new_commit_is_fetched_where_no_revision_is_named(hub: HubStandIn) -> None:
    source = HubSource()
    first = source.fetch(TINY, quiet)
    from tests.standins.hub_repos import as_file

    hub.repo("alice/tiny").commit({"vocab.txt": as_file("vocab.txt", "c")}, "second")
    second = source.fetch(TINY, quiet)
    assert second != first
    assert (second / "vocab.txt").read_text() == "c"
    assert (first / "vocab.txt").read_text() == "a\nb"


def test_shards_come_with_their_index(hub: HubStandIn) -> None:
    parts = {f"model-0000{n}-of-00002.safetensors": safetensors({f"w{n}": (2, 2)}) for n in (1, 2)}
    index = {"metadata": {}, "weight_map": {f"w{n}": f"model-0000{n}-of-00002.safetensors" for n in (1, 2)}}
    hub.add_repo(
        "alice/shards",
        {"config.json": "{}", "model.safetensors.index.json": json.dumps(index), "other.safetensors": WEIGHTS, **parts},
    )
    folder = HubSource().fetch(ModelRef("hub", "alice/shards"), quiet)
    assert files(folder) == {"config.json", "model.safetensors.index.json", *parts}


def test_pickled_weights_need_leave(hub: HubStandIn) -> None:
    hub.add_repo("old/model", {"config.json": "{}", "pytorch_model.bin": b"pickle"})
    ref = ModelRef("hub", "old/model")
    with pytest.raises(RefusedError, match="only as a pickle"):
        HubSource().fetch(ref, quiet)
    assert not hub.seen("resolve")
    assert files(HubSource().fetch(ref, quiet, allow_pickle=True)) == {"config.json", "pytorch_model.bin"}
    with pytest.raises(RefusedError):
        HubSource().fetch(ref.at(hub.repo("old/model").at("main").sha), quiet)
    hub.add_repo("no/weights", {"config.json": "{}"})
    with pytest.raises(UnsupportedError, match="neither safetensors"):
        HubSource().fetch(ModelRef("hub", "no/weights"), quiet)


def test_of_many_gguf_files_one_is_brought(hub: HubStandIn) -> None:
    names = [f"tiny-{kind}.gguf" for kind in ("Q2_K", "Q4_K_M", "Q8_0", "f16")]
    hub.add_repo("eve/packed", {name: gguf(10, padding=n) for n, name in enumerate(names)})
    ref = ModelRef("hub", "eve/packed")
    info = HubSource().info(ref)
    assert info.bytes == len(hub.files("eve/packed")["tiny-Q4_K_M.gguf"])
    assert info.parameters == 134
    folder = HubSource().fetch(ref, quiet)
    assert files(folder) == {"tiny-Q4_K_M.gguf"}
    assert modelnook.info(str(folder)).task == "text-generation"
    before = len(hub.seen("resolve"))
    assert HubSource().fetch(ref, quiet) == folder
    assert len(hub.seen("resolve")) == before
    hub.add_repo("eve/odd", {"a-Q2_K.gguf": gguf(10), "a-Q3_K.gguf": gguf(10)})
    with pytest.raises(UnsupportedError, match="neither safetensors") as caught:
        HubSource().fetch(ModelRef("hub", "eve/odd"), quiet)
    assert caught.value.hint


def large(hub: HubStandIn, size: int = 30_000_000) -> bytes:
    data = safetensors({"w": (8, 8)}, padding=size)
    hub.add_repo("alice/large", {"config.json": "{}", "model.safetensors": data})
    return data


@pytest.mark.slow
def test_a_cut_connection_goes_on(hub: HubStandIn) -> None:
    data = large(hub)
    hub.throttle(cut_after=12 << 20, cuts=2)
    folder = HubSource().fetch(ModelRef("hub", "alice/large"), quiet)
    assert (folder / "model.safetensors").read_bytes() == data
    assert len(hub.seen("GET /_cdn/")) == 3


@pytest.mark.slow
def test_stopped_it_leaves_its_part_and_goes_on_there(hub: HubStandIn) -> None:
    data = large(hub)
    hub.throttle(sleep=0.02)
    seen: list[Event] = []

    def stop() -> bool:
        return any(isinstance(e, Progress) and e.step > 12_000_000 for e in seen)

    with pytest.raises(ConflictError) as caught:
        HubSource().fetch(ModelRef("hub", "alice/large"), seen.append, stop=stop)
    assert caught.value.code == "hub.stopped"
    hub.throttle()
    folder = HubSource().fetch(ModelRef("hub", "alice/large"), quiet)
    assert (folder / "model.safetensors").read_bytes() == data
    [again] = [r for r in hub.seen("GET /_cdn/") if "range" in r.headers and r.headers["range"] != "bytes=0-100000"]
    assert int(re.findall(r"\d+", again.headers["range"])[0]) >= 10_000_000


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was(hub: HubStandIn) -> None:
    data = large(hub)
    hub.throttle(sleep=0.05)
    script = (
        "from modelnook.catalog.hub import HubSource\nfrom modelnook.domain.model import ModelRef\n"
        "HubSource().fetch(ModelRef('hub', 'alice/large'), lambda e: None)"
    )
    child = subprocess.Popen([sys.executable, "-c", script], env=dict(os.environ))
    blobs = Path(huggingface_hub.constants.HF_HUB_CACHE) / "models--alice--large" / "blobs"
    end = time.monotonic() + 30
    while not any(f.stat().st_size >= 10_000_000 for f in blobs.glob("*.incomplete")):
        assert time.monotonic() < end
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    hub.throttle()
    folder = HubSource().fetch(ModelRef("hub", "alice/large"), quiet)
    assert (folder / "model.safetensors").read_bytes() == data
    assert not list(blobs.glob("*.incomplete"))
    assert "range" in hub.seen("GET /_cdn/")[-1].headers


def test_what_isnt_what_its_checksum_says_is_removed(hub: HubStandIn) -> None:
    data = large(hub, 6_000_000)
    sha = hashlib.sha256(data).hexdigest()
    source, ref = HubSource(), ModelRef("hub", "alice/large")
    real = hub.repo("alice/large").at("main").files["model.safetensors"]
    assert real.sha256 == sha
    part = source.cache / "models--alice--large" / "blobs" / f"{sha}.modelnook.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    with pytest.raises(StoreError, match="checksum"):
        source.fetch(ref, quiet)
    assert (source.fetch(ref, quiet) / "model.safetensors").read_bytes() == data


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "model.safetensors"])
def test_a_small_file_that_isnt_what_its_checksum_says_is_removed(hub: HubStandIn, name: str) -> None:
    real = hub.files("alice/tiny")[name]
    where = "/_cdn/" if name == "model.safetensors" else rf"/alice/tiny/resolve/[^/]+/{re.escape(name)}"
    source = HubSource()
    hub.fail(f"GET {where}", 200, body="x" * len(real))
    with pytest.raises(StoreError, match="checksum") as caught:
        source.fetch(TINY, quiet)
    assert name in caught.value.message
    assert not [f for f in source.cache.rglob(f"snapshots/*/{name}") if f.exists()]
    hub.heal()
    folder = source.fetch(TINY, quiet)
    assert files(folder) == NEEDED
    assert (folder / name).read_bytes() == real


def test_what_the_client_brought_unchecked_is_checked(hub: HubStandIn) -> None:
    source = HubSource()
    hub.fail(r"GET /alice/tiny/resolve/[^/]+/config\.json", 200, body="{" + " " * (len(json.dumps(CONFIG)) - 2) + "}")
    assert source.info(TINY).labels == ()
    hub.heal()
    assert json.loads((source.fetch(TINY, quiet) / "config.json").read_bytes()) == CONFIG


def test_small_files_are_brought_without_a_bar(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # As in a terminal, where the client draws one.
    # The package's attribute of this name is the class.
    monkeypatch.setattr(importlib.import_module("huggingface_hub.utils.tqdm"), "HF_HUB_DISABLE_PROGRESS_BARS", None)
    monkeypatch.setenv("TQDM_POSITION", "-1")
    source = HubSource()
    assert source.info(TINY).task
    assert source.small(TINY, "tokenizer.json") == b"{}"
    assert capfd.readouterr() == ("", "")


def test_no_room_is_said_before_the_first_byte(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    large(hub, 6_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="no room"):
        HubSource().fetch(ModelRef("hub", "alice/large"), quiet)
    assert not hub.seen("GET /_cdn/")


# -- who may, and what goes wrong


def test_gated_private_and_absent_are_told_apart(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"config.json": json.dumps(CONFIG), "model.safetensors": WEIGHTS}
    hub.add_token(CANARY, "bob")
    hub.add_repo("alice/gated", parts, gated=True)
    hub.add_repo("alice/secret", parts, private=True)
    source = HubSource()
    gated = ModelRef("hub", "alice/gated")
    info = source.info(gated)
    assert (info.gated, info.parameters, info.layers) == (True, 84, None)
    for token in (None, CANARY):
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(RefusedError) as refused:
            source.fetch(gated, quiet)
        assert refused.value.code == ("hub.gated_ask" if token else "hub.gated_login")
        assert f"{hub.url}/alice/gated" in refused.value.hint
        for id in ("alice/secret", "alice/nothing"):
            with pytest.raises(NotFoundError) as missing:
                source.info(ModelRef("hub", id))
            assert missing.value.code == "hub.no_model"
            assert CANARY not in str(missing.value)
    hub.repo("alice/gated").granted.add("bob")
    assert (source.fetch(gated, quiet) / "model.safetensors").read_bytes() == WEIGHTS
    with pytest.raises(NotFoundError, match="no such revision"):
        source.info(TINY.at("nope"))
    with pytest.raises(UsageError, match="owner/name"):
        source.info(ModelRef("hub", "a/b/c"))
    monkeypatch.setenv("HF_TOKEN", "hf_unknown")
    with pytest.raises(UsageError, match="doesn't know your token"):
        source.info(TINY)


def test_the_step_into_a_gated_model_that_is_missing_is_named(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = hub.add_repo("alice/gated", {"config.json": "{}", "model.safetensors": WEIGHTS}, gated=True)
    hub.add_token(CANARY, "bob")
    hub.add_token("hf_fine", "carol", role="fineGrained")
    source, ref = HubSource(), ModelRef("hub", "alice/gated")

    def refusal(token: str) -> ModelnookError:
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(ModelnookError) as caught:
            source.fetch(ref, quiet)
        assert token not in str(caught.value)
        return caught.value

    assert refusal(CANARY).code == "hub.gated_ask"
    repo.asked.add("bob")
    assert refusal(CANARY).code == "hub.gated_wait"
    repo.granted |= {"bob", "carol"}
    assert refusal("hf_fine").code == "hub.gated_token"
    assert source.here(ref) is None
    hub.state.expired.add(CANARY)
    assert refusal(CANARY).code == "hub.expired_token"
    hub.state.expired.clear()
    monkeypatch.setenv("HF_TOKEN", CANARY)
    assert source.here(ref) is None
    source.fetch(ref, quiet)
    assert source.here(ref)


@pytest.mark.slow
def test_a_download_waits_a_rate_limit_out_and_says_so(hub: HubStandIn) -> None:
    for asked in (r"GET /api/models/alice/tiny\?", r"GET /api/models/alice/tiny/tree"):
        hub.rate_limit(asked, seconds=1)
    told: list[Event] = []
    assert files(HubSource().fetch(TINY, told.append)) == NEEDED
    waits = [e for e in told if isinstance(e, Progress) and e.phase == "rate_limited"]
    assert waits
    assert {e.total for e in waits} == {2}
    assert isinstance(told[-1], Progress)
    assert told[-1].phase == "downloading"


def test_a_wait_for_a_rate_limit_can_be_stopped(hub: HubStandIn) -> None:
    hub.rate_limit("GET /api/models/alice/tiny", seconds=200, times=None)
    told: list[Event] = []
    with pytest.raises(ConflictError) as caught:
        HubSource().fetch(TINY, told.append, stop=lambda: bool(told))
    assert caught.value.code == "hub.stopped"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_in_mid_download_leaves_nothing_half_visible(hub: HubStandIn) -> None:
    data = large(hub, 6_000_000)
    source, ref = HubSource(), ModelRef("hub", "alice/large")
    blobs = source.cache / "models--alice--large" / "blobs"
    blobs.mkdir(parents=True)
    part = blobs / f"{hashlib.sha256(data).hexdigest()}.modelnook.incomplete"
    part.symlink_to("/dev/full")
    with pytest.raises(StoreError, match="no room"):
        source.fetch(ref, quiet)
    assert not [f for f in source.cache.rglob("*") if f.name == "model.safetensors"]
    assert source.here(ref) is None
    part.unlink()
    assert (source.fetch(ref, quiet) / "model.safetensors").read_bytes() == data


@pytest.mark.slow
def test_a_short_rate_limit_is_waited_out_and_a_long_one_told(hub: HubStandIn) -> None:
    hub.rate_limit(r"GET /api/models/alice/tiny", seconds=1)
    assert HubSource().info(TINY).id == "alice/tiny"
    hub.rate_limit(r"GET /api/models/alice/tiny", seconds=55, times=None)
    with pytest.raises(OfflineError) as caught:
        HubSource().info(TINY)
    assert caught.value.code == "hub.rate_limit"
    assert "55 s" in caught.value.hint


def test_out_of_reach_uses_what_is_here(hub: HubStandIn) -> None:
    source = HubSource()
    folder = source.fetch(TINY, quiet)
    hub.stop()
    hub_module._KNOWN.clear()
    assert source.fetch(TINY, quiet) == folder
    info = source.info(TINY)
    assert (info.revision, info.parameters, info.path) == (folder.name, 84, str(folder))
    for call in (source.info, lambda ref: source.fetch(ref, quiet)):
        with pytest.raises(OfflineError) as caught:
            call(ModelRef("hub", "bob/other"))
        assert caught.value.code == "hub.unreachable"
    with pytest.raises(OfflineError) as caught:
        source.search(Query("tiny"))
    assert caught.value.code == "hub.unreachable"
    hub.start()
    hub.fail("GET /api/models", 503)
    with pytest.raises(OfflineError, match="HTTP 503"):
        source.search(Query("tiny"))


@pytest.mark.parametrize("variable", ["MODELNOOK_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_opens_no_socket(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    source = HubSource()
    folder = source.fetch(TINY, quiet)
    hub_module._KNOWN.clear()
    monkeypatch.setenv(variable, "1")
    before = len(hub.requests)
    assert source.fetch(TINY, quiet) == folder
    assert source.fetch(TINY.at(folder.name), quiet) == folder
    assert source.info(TINY).revision == folder.name
    assert source.names() == ["alice/tiny"]
    other = ModelRef("hub", "bob/other")
    for call in (lambda: source.search(Query("x")), lambda: source.info(other), lambda: source.fetch(other, quiet)):
        with pytest.raises(OfflineError) as caught:
            call()
        assert caught.value.code == "hub.offline"
    assert len(hub.requests) == before


def test_half_a_commit_does_not_pass_for_a_whole_one(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    huggingface_hub.hf_hub_download("alice/tiny", "config.json", endpoint=hub.url)
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    with pytest.raises(OfflineError):
        HubSource().fetch(TINY, quiet)


def test_what_the_client_itself_fetched_is_used(hub: HubStandIn) -> None:
    theirs = Path(huggingface_hub.snapshot_download("alice/tiny", endpoint=hub.url))
    before = len(hub.seen("resolve"))
    assert HubSource().fetch(TINY.at(theirs.name), quiet) == theirs
    assert HubSource().fetch(TINY, quiet) == theirs
    assert len(hub.seen("resolve")) == before


def test_a_bare_name_never_leaves_the_machine(hub: HubStandIn, tmp_path: Path) -> None:
    hub.add_repo("tiny", {"config.json": json.dumps(CONFIG), "model.safetensors": WEIGHTS})
    for ask in (
        lambda: modelnook.info("tinny"),
        lambda: modelnook.predict("tiny", ["x"]),
        lambda: modelnook.pull("our-secret-project@v2"),
        lambda: modelnook.finetune("tiny", [{"text": "x", "label": "y"}], dry_run=True),
    ):
        with pytest.raises(NotFoundError):
            ask()
    assert not hub.requests
    with pytest.raises(NotFoundError):
        modelnook.info("alice/nothing")
    assert hub.requests


@pytest.mark.parametrize(
    "id", ["../etc/passwd", "alice/..", "alice/tiny\x00", "alice/\x1b[31m", "a/b/../c", "alice/.git/..", "a//b"]
)
def test_a_name_that_is_none_is_refused_before_anything_is_asked(hub: HubStandIn, tmp_path: Path, id: str) -> None:
    for ask in (modelnook.info, modelnook.pull, modelnook.load):
        with pytest.raises(ModelnookError) as caught:
            ask(f"hub:{id}")
        # A reference with a NUL is none of any source.
        assert caught.value.code == ("core.bad_ref" if "\0" in id else "hub.bad_id")
        assert caught.value.message.isprintable()
        assert caught.value.hint
    assert not hub.requests
    assert not modelnook.runs(kind="pull"), "no job is made for it"


@pytest.mark.parametrize(
    "card",
    [
        {"license": {"mit": True}, "language": {"en": 1}, "base_model": {"a": "b"}},
        {"license": ["mit", {"x": 1}], "language": [["en"], None, 7], "base_model": [{"id": "x"}, "b/base", 3]},
        {"license": 7, "language": True, "tags": "one", "base_model": [], "base_model_relation": ["merge"]},
        {"model-index": "none", "license": None, "datasets": {"x": [[[]]]}},
        {"model-index": [{"results": [{"metrics": "x"}]}], "license_name": ["x"], "license": "other"},
    ],
)
def test_a_card_of_other_forms_than_cards_have(hub: HubStandIn, card: dict[str, Any]) -> None:
    config = {"architectures": "Bert", "id2label": ["a"], "model_type": {"x": 1}, "auto_map": "x"}
    hub.add_repo("eve/odd", {"config.json": json.dumps(config), "model.safetensors": WEIGHTS}, card=card, downloads=9)
    rows = HubSource().search(Query())
    assert {row.id for row in rows} == {"alice/tiny", "eve/odd"}
    info = modelnook.info("hub:eve/odd")
    for said in (info, *rows):
        assert isinstance(said.license, (str, type(None)))
        assert all(isinstance(word, str) for word in (*said.language, *said.bases, *said.labels, said.base_model or ""))
        assert json.loads(json.dumps(said.to_dict()))
    assert info.parameters == 84
    assert cards.text(info)
    assert files(HubSource().fetch(ModelRef("hub", "eve/odd"), quiet))


# -- added endpoints


def test_an_added_endpoint_has_its_own_cache_and_token(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", CANARY)
    monkeypatch.setenv("MIRROR_TOKEN", "hf_for_the_mirror")
    hub.add_token("hf_for_the_mirror", "alice")
    hub.add_repo("alice/secret", {"config.json": "{}", "model.safetensors": WEIGHTS}, private=True)
    anonymous = added(hub)
    folder = anonymous.fetch(ModelRef("mine", "alice/tiny"), quiet)
    assert folder.is_relative_to(home() / "cache" / "hub")
    assert [row.ref for row in anonymous.search(Query("tiny"))] == ["mine:alice/tiny"]
    assert not any("authorization" in r.headers for r in hub.requests)
    with pytest.raises(NotFoundError, match="--token-env"):
        anonymous.info(ModelRef("mine", "alice/secret"))
    known = added(hub, "with", token_env="MIRROR_TOKEN")
    assert known.info(ModelRef("with", "alice/secret")).source == "with"
    sent = {r.headers["authorization"] for r in hub.requests if "authorization" in r.headers}
    assert sent == {"Bearer hf_for_the_mirror"}


def test_two_endpoints_with_one_id_are_two_models(hub: HubStandIn) -> None:
    with HubStandIn() as other:
        other.add_repo("alice/tiny", {"config.json": "{}", "model.safetensors": safetensors({"w": (1,)})})
        here = HubSource().fetch(TINY, quiet)
        there = added(other, "other").fetch(ModelRef("other", "alice/tiny"), quiet)
        assert (here / "model.safetensors").read_bytes() != (there / "model.safetensors").read_bytes()
        other.stop()
        hub.stop()
        assert HubSource().fetch(TINY, quiet) == here
        assert HubSource("other").fetch(ModelRef("other", "alice/tiny"), quiet) == there


def test_imports_nothing_heavy() -> None:
    script = (
        "import sys; from modelnook.catalog.search import source; source('hub'); "
        "print([m for m in ('torch', 'transformers', 'datasets', 'pandas', 'wandb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class TestHub(SourceSuite):
    kind = "hub"

    @pytest.fixture
    def source(self, hub: HubStandIn) -> Source:
        return added(hub)

    @pytest.fixture
    def ref(self) -> ModelRef:
        return ModelRef("mine", "alice/tiny")
