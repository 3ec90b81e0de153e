"""A search that its filters leave empty says which one to leave out."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelnook as mn
from modelnook import cards
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


def test_words_that_nothing_has_are_the_words_fault(english: None) -> None:
    found = mn.search("nothinglikeit", source="local")
    assert "Try fewer words" in cards.text(found) or "Nothing fits" in found.hint
    assert mn.search("films", source="local", language="en").hint == ""
    assert mn.search("nothinglikeit").hint == ""
