"""What `info` says before a byte of weights is taken: types, room, licence, access, evaluations, where it lies."""

from __future__ import annotations

import json
import struct

import pytest
from tests.catalog.remote import gguf
from tests.standins.hub import HubStandIn, safetensors

import modelnook as mn
from modelnook import cards
from modelnook.catalog import hub as hub_module
from modelnook.catalog.gguf import parse_header
from modelnook.catalog.hub import HubSource
from modelnook.catalog.index import CatalogIndex
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.measure.memory import need
from modelnook.settings import home, save_sources

MIXED = safetensors({"enc.w": (10, 4)}, dtype="F16")


@pytest.fixture
def hub(hub_server: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> HubStandIn:
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    monkeypatch.setattr(hub_module, "_KNOWN", {})
    return hub_server


def test_types_room_and_page(hub: HubStandIn) -> None:
    hub.add_repo("alice/half", {"config.json": "{}", "model.safetensors": MIXED}, card={"license": "llama3"})
    info = mn.info("hub:alice/half")
    assert (info.dtypes, info.parameters) == ({"F16": 40}, 40)
    assert info.page == f"{hub.url}/alice/half"
    assert info.disk_free
    assert info.disk_free > 10**6
    assert info.path is None
    assert info.terms
    assert (info.terms.commercial, info.terms.name) == ("conditions", "Meta Llama 3 Community License")
    assert ModelInfo.from_dict(json.loads(json.dumps(info.to_dict()))) == info
    folder = HubSource().fetch(ModelRef("hub", "alice/half"), lambda event: None)
    again = mn.info("hub:alice/half")
    assert (again.path, again.disk_free) == (str(folder), None)


@pytest.mark.parametrize("vocabulary", [10, 60_000])
def test_a_gguf_is_read_by_its_header_alone(hub: HubStandIn, vocabulary: int) -> None:
    data = gguf(vocabulary, padding=6_000_000)
    hub.add_repo("alice/packed", {"model-q8_0.gguf": data, "README.md": "x"})
    info = mn.info("hub:alice/packed")
    assert (info.parameters, info.dtypes, info.formats) == (134, {"Q8_0": 128, "F32": 6}, ("gguf",))
    taken = [r for r in hub.seen("GET /.*gguf") if "range" in r.headers]
    assert len(taken) == len(hub.seen("GET /(_cdn/|.*gguf)")) == (1 if vocabulary == 10 else 2)


def test_a_cut_or_foreign_header_is_none() -> None:
    data = gguf(100)
    assert parse_header(data)
    assert all(parse_header(data[:n]) is None for n in range(0, len(data), 7))
    assert parse_header(b"GGUF" + struct.pack("<IQQ", 1, 1, 1) + bytes(100)) is None


def test_equal_files_have_one_digest(hub: HubStandIn) -> None:
    files = {"config.json": "{}", "model.safetensors": MIXED}
    hub.add_repo("alice/one", files)
    hub.add_repo("bob/two", {**files, "README.md": "other words"})
    hub.add_repo("eve/three", {**files, "model.safetensors": safetensors({"w": (3,)})})
    digests = [mn.info(f"hub:{id}").digest for id in ("alice/one", "bob/two", "eve/three")]
    assert digests[0] == digests[1] != digests[2]


def test_the_cards_own_evaluations_are_told(hub: HubStandIn) -> None:
    result = {
        "task": {"type": "text-classification"},
        "dataset": {"type": "imdb", "name": "IMDb"},
        "metrics": [{"type": "accuracy", "name": "Accuracy", "value": 0.93}, {"type": "note", "value": "good"}],
    }
    card = {"model-index": [{"name": "films", "results": [result]}]}
    hub.add_repo("alice/films", {"config.json": "{}", "model.safetensors": MIXED}, card=card)
    assert mn.info("hub:alice/films").metrics == {"Accuracy (IMDb)": 0.93}


def test_a_card_says_the_licence_in_plain_words(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"config.json": "{}", "model.safetensors": MIXED}
    hub.add_repo("alice/closed", files, card={"license": "cc-by-nc-sa-4.0"}, gated=True)
    info = mn.info("hub:alice/closed")
    said = cards.text(info)
    assert "commercial use: no; share alike: yes (not legal advice)" in said
    assert f"ask at {hub.url}/alice/closed" in said
    assert "NonCommercial purposes only" in cards.html(info)
    assert len(said.splitlines()) <= 12
    monkeypatch.setenv("MODELNOOK_LANG", "zh")
    assert "商用：否" in cards.text(mn.info("hub:alice/closed"))


def test_memory_against_what_this_machine_has(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_repo("alice/half", {"config.json": "{}", "model.safetensors": MIXED})
    wants = need(40, bytes_on_disk=len(MIXED) + 2)
    monkeypatch.setattr("modelnook.api.finding.free", lambda: wants.lora)
    info = mn.info("hub:alice/half")
    assert info.bytes == len(MIXED) + 2
    assert (info.memory_run, info.memory_lora, info.memory_full) == (wants.run, wants.lora, wants.full)
    assert 0 < wants.run < wants.lora < wants.full
    assert info.memory_free == wants.lora
    [line] = [line for line in cards.text(info).splitlines() if "memory to run" in line]
    assert line.count("too much") == 1
    assert "too much" in line.partition("to train in full")[2]


def test_types_all_bases_and_how_it_comes_from_them(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    card = {"base_model": ["a/one", "b/two"], "license": "mit"}
    weights = safetensors({"w": (10, 30)}, padding=100)
    hub.add_repo("eve/merged", {"config.json": "{}", "model.safetensors": weights}, card=card)
    hub.add_repo("eve/lora", {"config.json": "{}"}, tags=["base_model:a/one", "base_model:adapter:a/one"])
    info = mn.info("hub:eve/merged")
    assert (info.base_model, info.bases, info.relation) == ("a/one", ("a/one", "b/two"), "merge")
    text = cards.text(info)
    assert "a/one, b/two (merged)" in text
    assert "(F32 75%, U8 25%)" in text
    assert ModelInfo.from_dict(json.loads(json.dumps(info.to_dict()))) == info
    lora = mn.info("hub:eve/lora")
    assert (lora.base_model, lora.bases, lora.relation) == ("a/one", (), "adapter")
    CatalogIndex(home()).write("hub", [info, lora])
    assert [(m.bases, m.relation) for m in CatalogIndex(home()).all("hub")] == [(info.bases, "merge"), ((), "adapter")]
    monkeypatch.setenv("MODELNOOK_LANG", "zh")
    assert "a/one (适配器)" in cards.text(lora)


def test_a_damaged_index_of_another_source_is_no_reason_to_say_nothing(hub: HubStandIn) -> None:
    hub.add_repo("alice/half", {"config.json": "{}", "model.safetensors": MIXED})
    save_sources(lambda _: [{"name": "mirror", "url": hub.url, "kind": "hub"}])
    index = CatalogIndex(home())
    index.write("mirror", [ModelInfo("mirror:alice/half", "alice/half", "mirror", parameters=40)])
    assert mn.info("hub:alice/half").also == ("mirror:alice/half",)
    index.drop("mirror")
    index.path("mirror").write_bytes(b"no database" * 1000)
    assert mn.info("hub:alice/half").also == ()


def test_a_disk_that_is_too_small_is_said() -> None:
    info = ModelInfo("hub:a/b", "a/b", "hub", bytes=2_000_000_000, disk_free=1_000_000)
    assert "too much" in cards.text(info)


def test_hostile_words_of_a_card_stay_words(hub: HubStandIn) -> None:
    card = {"license": "<script>alert(1)</script>", "language": ["<b>zh</b>"]}
    hub.add_repo("eve/evil", {"config.json": "{}", "model.safetensors": MIXED}, card=card)
    info = mn.info("hub:eve/evil")
    assert "<script>" not in cards.html(info)
    assert info.terms
    assert info.terms.commercial == "unknown"
