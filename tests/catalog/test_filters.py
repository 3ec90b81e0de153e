"""A search that its filters leave empty says which one to leave out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

import modelnook as mn
from modelnook import api, cards
from modelnook.catalog.index import CatalogIndex
from modelnook.domain.errors import UsageError
from modelnook.domain.model import ModelInfo
from modelnook.store import Store


@pytest.fixture
def english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    store = Store()
    source = store.home / "made"
    source.mkdir()
    store.models.add("films", source, ModelInfo("", "films", "local", task="text-classification", language=("en",)))


def test_the_filter_that_left_nothing_is_named(english: None) -> None:
    found = mn.search("films", source="local", language="zh")
    assert (len(found), found.hint) == (
        0,
        "--language zh leaves out every model that was found; without it there are 1.",
    )
    assert found.hint in cards.text(found)
    both = mn.search("films", source="local", language="zh", license="mit")
    assert "--language zh" in both.hint
    assert "--license mit" in both.hint
    assert mn.search("films", source="local", gated=True).hint.startswith("--gated yes ")


def test_words_that_nothing_has_are_the_words_fault(english: None) -> None:
    found = mn.search("nothinglikeit", source="local")
    assert "Try fewer words" in cards.text(found) or "Nothing fits" in found.hint
    assert mn.search("films", source="local", language="en").hint == ""
    assert mn.search("nothinglikeit").hint == ""


def test_format_gated_and_fits_narrow_down(english: None, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        ModelInfo(f"hub:a/m{n}", f"a/m{n}", "hub", parameters=10 ** (5 + n), formats=("gguf",), downloads=9 - n)
        for n in range(8)
    ]
    CatalogIndex(Store().home).write("hub", [*entries, ModelInfo("hub:b/closed", "b/closed", "hub", gated=True)])
    monkeypatch.setattr("modelnook.api.finding.free", lambda: 2_000_000_000)
    hub = partial(mn.search, source="hub")
    assert len(hub(format="gguf")) == 8
    assert [m.id for m in hub(gated=True)] == ["b/closed"]
    assert "b/closed" not in [m.id for m in hub(gated="no")]
    fitting = {what: {m.id for m in hub(fits=what)} for what in ("run", "lora", "full")}
    assert fitting["full"] < fitting["lora"] <= fitting["run"] < {f"a/m{n}" for n in range(8)}
    assert {m.id for m in hub(fits="run", params="<1M")} == {"a/m0", "a/m1"}
    with pytest.raises(UsageError, match="gated"):
        mn.search(gated="perhaps")
    with pytest.raises(UsageError, match="Did you mean"):
        mn.search(source="hib")


def test_references_are_completed_from_the_index() -> None:
    entries = [ModelInfo(f"hub:{id}", id, "hub") for id in ("google-bert/bert-base", "google/vit", "eve/bert")]
    CatalogIndex(Store().home).write("hub", entries)
    assert api.complete("ref", "hub:google-b") == ["hub:google-bert/bert-base"]
    assert api.complete("ref", "hub:goo") == ["hub:google-bert/bert-base", "hub:google/vit"]
    assert api.complete("ref", "nobody:goo") == []


def test_sorted_by_downloads_or_date_the_first_is_first_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    entries = [
        ModelInfo(f"hub:a/spam-{n}", f"a/spam-{n}", "hub", downloads=500 - n, updated="2020-01-01T00:00:00+00:00")
        for n in range(120)
    ]
    used = ModelInfo("hub:b/used", "b/used", "hub", downloads=9000, tags=("spam",))
    new = ModelInfo("hub:b/new", "b/new", "hub", tags=("spam",), updated="2026-01-01T00:00:00+00:00")
    CatalogIndex(Store().home).write("hub", [used, *entries, new])
    assert mn.search("spam", sort="downloads", limit=5)[0].ref == used.ref
    assert (
        mn.search("spam", sort="date", limit=5)[0].ref == mn.search("spam", sort="updated", limit=5)[0].ref == new.ref
    )
    with pytest.raises(UsageError, match="downloads"):
        mn.search("spam", sort="popularity")
