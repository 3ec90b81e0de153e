"""What `info` says before a byte of weights is taken: types, room, licence, access, evaluations, where it lies."""

from __future__ import annotations

import json
import struct

import pytest
from tests.standins.hub import HubStandIn, safetensors

import modelnook as mn
from modelnook import cards
from modelnook.catalog import hub as hub_module
from modelnook.catalog.gguf import parse_header
from modelnook.catalog.hub import HubSource
from modelnook.domain.model import ModelInfo, ModelRef

MIXED = safetensors({"enc.w": (10, 4)}, dtype="F16")


@pytest.fixture
def hub(hub_server: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> HubStandIn:
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    monkeypatch.setattr(hub_module, "_KNOWN", {})
    return hub_server


def gguf(vocabulary: int, padding: int = 0) -> bytes:
    """A GGUF file of two tensors whose header holds a vocabulary of so many words."""

    def text(said: str) -> bytes:
        return struct.pack("<Q", len(said)) + said.encode()

    words = b"".join(text(f"word-{n:08d}") for n in range(vocabulary))
    keys = text("general.architecture") + struct.pack("<I", 8) + text("llama")
    keys += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, vocabulary) + words
    tensors = text("w") + struct.pack("<IQQIQ", 2, 32, 4, 8, 0) + text("b") + struct.pack("<IQIQ", 1, 6, 0, 0)
    return b"GGUF" + struct.pack("<IQQ", 3, 2, 2) + keys + tensors + bytes(padding)


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
