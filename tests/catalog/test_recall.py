"""228 real questions, English and Chinese, and the models that people mean by them (``queries.json``).

The catalogue holds the well-known models among invented ones whose names, tasks and downloads are like the hub's. What
is asked is the whole search, as a person gets it: grouped, ten entries.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks import generated

from modelnook.catalog.base import Query
from modelnook.catalog.index import CatalogIndex
from modelnook.catalog.search import search
from modelnook.settings import home

ASKED = json.loads(Path(__file__).with_name("queries.json").read_text(encoding="utf-8"))


@pytest.fixture
def catalogue() -> None:
    CatalogIndex(home()).write("hub", generated.entries(20_000))


def test_the_questions_are_about_models_that_are_there() -> None:
    there = {info.id for info in generated.known()}
    assert len(ASKED) >= 200
    assert {id for asked in ASKED for id in asked["expected"]} <= there


def test_what_is_meant_is_among_the_first_ten(catalogue: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_OFFLINE", "1")
    recall: dict[str, list[float]] = {"en": [], "zh": []}
    for asked in ASKED:
        found = {info.id for info in search(Query(asked["query"], limit=10), "hub", live=())}
        expected = set(asked["expected"])
        recall[asked["language"]].append(len(found & expected) / len(expected))
    mean = {language: sum(values) / len(values) for language, values in recall.items()}
    assert mean["en"] >= 0.95, mean
    assert mean["zh"] >= 0.8, mean
