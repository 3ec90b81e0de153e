"""What a run says of its rows: all of it in its warnings, wrong labels one by one."""

from __future__ import annotations

from typing import Any

import pytest
from tests.jobs.conftest import table

import modelnook as mn
from modelnook import records

pytestmark = pytest.mark.slow
pytest.importorskip("sklearn")

Rows = list[dict[str, Any]]


def wrong(rows: Rows, *places: int) -> Rows:
    return [
        {**r, "label": {"ham": "spam", "spam": "ham"}[r["label"]]} if i in places else r for i, r in enumerate(rows)
    ]


def test_wrong_labels_are_listed() -> None:
    right, places = table(600), range(0, 200, 20)
    run = mn.finetune(data=wrong(right, *places), method="tfidf", name="words", on="kernel")
    [said] = [w for w in run.warnings if "mislabelled" in w]
    found = run.label_issues()
    look = "look" if len(found) > 1 else "looks"
    assert said.startswith(f"{len(found)} of 600 rows {look} mislabelled, e.g. row {found['row'][0]} '")
    assert f"%model runs issues {run.id}" in said
    assert list(found.columns) == ["row", "text", "label", "suggested", "confidence"]
    assert set(found["row"]) <= set(places)
    assert len(found) >= 1
    for row, text, label, suggested, _ in records.issues(run).rows:
        assert text == right[row]["text"]
        assert label != suggested == right[row]["label"]
    assert records.issues(run).to_frame().equals(found)


def test_a_training_that_is_over_at_once_has_its_warnings(tiny: str, rows: Rows) -> None:
    given = [*rows, *rows[:20]]
    run = mn.finetune(tiny, given, eval_data=[*rows[:5], *table(30, seed=9)], epochs=0.1, name="short", track="none")
    assert any("5 of 35 validation rows" in w for w in run.warnings)
    assert any("copies" in w for w in run.warnings)
    assert len(run.label_issues()) == 0
    assert list(run.label_issues().columns) == ["row", "text", "label", "suggested", "confidence"]
