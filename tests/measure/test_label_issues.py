"""Wrong labels that were planted are found, with few right ones among them; clean rows give few."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from tests.conftest import needed

from modelnook.measure import label_issues as room
from modelnook.measure.label_issues import confident, label_issues
from modelnook.tasks.table import TableClassification
from modelnook.tasks.text_classification import TextClassification
from modelnook.tasks.text_regression import TextRegression
from modelnook.testing.models import tiny_rows

needed("sklearn")

SPEC = TextClassification()


def planted(rows: dict[str, list[Any]], share: float, seed: int = 0) -> tuple[dict[str, list[Any]], set[int]]:
    """Some labels changed to another one, and which."""
    rng = random.Random(seed)
    names = sorted(set(rows["label"]))
    changed = set(rng.sample(range(len(rows["label"])), round(share * len(rows["label"]))))
    other = [rng.choice([n for n in names if n != y]) if i in changed else y for i, y in enumerate(rows["label"])]
    return {**rows, "label": other}, changed


def test_planted_labels_are_found() -> None:
    rows, changed = planted(tiny_rows(300, ("one", "two", "three")), 0.05)
    found = label_issues(SPEC, rows, ["one", "two", "three"])
    assert found is not None
    assert found.rows == 300
    said = {item.row for item in found.items}
    assert len(said & changed) >= 0.5 * len(changed)
    assert len(said & changed) >= 0.8 * len(said)
    right = tiny_rows(300, ("one", "two", "three"))["label"]
    for item in found.items:
        assert item.label == rows["label"][item.row] != item.suggested
        assert 0 < item.confidence <= 1
        assert item.row not in changed or item.suggested == right[item.row]


def test_clean_rows_have_none() -> None:
    found = label_issues(SPEC, tiny_rows(300), ["ham", "spam"])
    assert found is not None
    assert len(found.items) <= 3


def test_few_rows_and_other_tasks_say_nothing() -> None:
    assert label_issues(SPEC, tiny_rows(40), ["ham", "spam"]) is None
    assert label_issues(TextRegression(), {"text": ["a"] * 90, "label": [1.0, 2.0] * 45}, []) is None
    table = {"feature:x": [0.0, 1.0] * 60, "label": ["a", "b"] * 60}
    assert label_issues(TableClassification(), table, ["a", "b"]) is None


def test_labels_of_one_row_are_left_alone() -> None:
    rows = tiny_rows(120)
    rows["label"][:2] = ["once", "twice"]
    found = label_issues(SPEC, rows, ["ham", "once", "spam", "twice"])
    assert found is not None
    assert found.rows == 118


def test_of_many_rows_a_sample_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_ROWS", 100)
    rows, changed = planted(tiny_rows(400), 0.1)
    found = label_issues(SPEC, rows, ["ham", "spam"])
    assert found is not None
    assert found.rows == 100
    assert {item.row for item in found.items} <= set(range(400))
    assert len({item.row for item in found.items} & changed) >= 0.7 * len(found.items)


def test_a_claim_needs_the_usual_confidence_of_its_class() -> None:
    shares = np.array([[0.95, 0.05]] * 9 + [[0.55, 0.45], [0.45, 0.55]] + [[0.1, 0.9]] * 9)
    given = np.array([0] * 9 + [0, 0] + [1] * 9)
    assert confident(shares, given)[1].tolist() == []


@pytest.mark.real
@pytest.mark.slow
def test_news_with_wrong_labels(bbc: list[dict[str, str]]) -> None:
    rows = {"text": [r["text"] for r in bbc], "label": [r["label"] for r in bbc]}
    labels = SPEC.labels(rows)
    clean = label_issues(SPEC, rows, labels)
    assert clean is not None
    assert len(clean.items) <= 0.02 * clean.rows
    wrong, changed = planted(rows, 0.05)
    found = label_issues(SPEC, wrong, labels)
    assert found is not None
    said = [item.row for item in found.items]
    assert len(changed & set(said)) >= 0.6 * len(changed) * found.rows / len(bbc)
    assert len(changed & set(said)) >= 0.8 * len(said)
    assert len(changed & set(said[:20])) >= 18
