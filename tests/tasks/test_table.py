"""Tables: the suite, how rows are read, what training tells of them, the rare label, metrics against scikit-learn."""

from __future__ import annotations

import math
import random
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelnook.domain.errors import DataError
from modelnook.measure.baselines import baselines
from modelnook.tasks.table import TableClassification, average_precision
from modelnook.testing.models import tiny_model
from modelnook.testing.tasks import TaskSuite

spec = TableClassification()


def loans(count: int, seed: int = 0, late: float = 0.5) -> dict[str, list[Any]]:
    """Old and poor borrowers don't pay: what ``late`` tells, the share of the label ``bad``."""
    rng = random.Random(seed)
    rows: dict[str, list[Any]] = {"feature:income": [], "feature:home": [], "feature:kids": [], "label": []}
    for _ in range(count):
        bad = rng.random() < late
        rows["feature:income"].append(round(rng.gauss(20 if bad else 60, 8), 2))
        rows["feature:home"].append(rng.choice(["rent", "own"]))
        rows["feature:kids"].append(rng.randint(0, 3))
        rows["label"].append("bad" if bad else "good")
    return rows


class TestTable(TaskSuite):
    name = "table"

    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return loans(32)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_model(tmp_path / "base")


def test_numbers_are_read_by_their_tenth() -> None:
    rows = {"feature:monthly_income": [float(i) for i in range(100)], "feature:home": ["own", "rent"] * 50}
    learnt = {"features": spec.learn({**rows, "label": ["a", "b"] * 50})["features"]}
    asked = [{"monthly_income": v, "home": h, "more": 1} for v, h in ((-5, "own"), (99.0, None), (None, "rent"))]
    assert spec.worded(asked, learnt) == [
        "monthly income: lowest; home: own",
        "monthly income: highest; home: missing",
        "monthly income: missing; home: rent",
    ]
    words = spec.worded([{"monthly_income": i, "home": "own"} for i in range(5, 100, 10)], learnt)
    assert len(set(words)) == 10, "each tenth has its word"


def test_infinities_do_not_spoil_the_tenths() -> None:
    for odd in (math.inf, -math.inf):
        values = [odd if i % 3 == 0 else float(i) for i in range(90)]
        learnt = spec.learn({"feature:x": values, "label": ["a", "b"] * 45})
        plain = [v for v in values if math.isfinite(v)]
        assert learnt["features"] == spec.learn({"feature:x": plain, "label": ["a", "b"] * 30})["features"]
        asked = [{"x": v} for v in (-math.inf, 1.0, 45.0, 88.0, math.inf, math.nan)]
        words = ["lowest", "lowest", "above middle", "highest", "highest", "missing"]
        assert spec.worded(asked, learnt) == [f"x: {word}" for word in words]
    few = [math.inf, -math.inf, *range(9)]
    assert spec.learn({"feature:x": few, "label": ["a", *"b" * 10]})["features"] == {"x": None}


def test_values_of_any_kind_are_words() -> None:
    columns = {
        "feature:seen": [date(2026, 1, day) for day in range(1, 10)],
        "feature:paid": [True, False, None] * 3,
        "feature:few": [1, 2, 3] * 3,
        "feature:same": ["x"] * 9,
        "feature:many": [[i] for i in range(9)],
        "label": ["a", "b", "a"] * 3,
    }
    learnt = spec.learn(columns)
    assert learnt == {"features": {"seen": None, "paid": None, "few": None, "many": None}}
    assert spec.worded(spec.as_rows(columns), learnt)[1] == "seen: 2026-01-02; paid: no; few: 2; many: [1]"


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({k: v[:3] for k, v in loans(9).items()}, "task.too_few_rows"),
        ({"label": ["a", "b"] * 5}, "task.no_features"),
        ({"label": ["a", "b"] * 5, "feature:same": [1] * 10}, "task.no_features"),
        ({**loans(9), "label": ["a"] * 9}, "task.one_class"),
        ({**loans(9), "label": ["a", "b", None] * 3}, "task.missing_label"),
    ],
)
def test_what_makes_training_impossible_is_an_error(columns: dict[str, list[Any]], code: str) -> None:
    with pytest.raises(DataError) as caught:
        spec.check(columns)
    assert caught.value.code == code
    assert caught.value.hint


def test_columns_that_name_the_rows_are_warned_of() -> None:
    rows = {**loans(30), "feature:customer": [f"c{i}" for i in range(30)]}
    [warning] = [w for w in spec.check(rows) if w.code == "task.row_names"]
    assert 'drop="customer"' in warning.message


def test_rows_without_a_column_of_training_are_refused() -> None:
    learnt = spec.learn(loans(40))
    with pytest.raises(DataError, match="income, kids") as caught:
        spec.worded([{"home": "own"}], learnt)
    assert "home" in (caught.value.hint or "")
    with pytest.raises(DataError, match="Row 1 has 'much'"):
        spec.worded([{"income": i, "home": "own", "kids": 1} for i in (1, "much")], learnt)


def test_a_rare_positive_label_puts_its_metric_first_and_weighs_more() -> None:
    even, rare = loans(200), loans(200, late=0.08)
    assert spec.metrics_for(even)[0] == "accuracy"
    assert spec.metrics_for(rare)[0] == "auc_pr"
    three = {"label": ["a", "b", "c"]}
    assert set(spec.metrics) - set(spec.metrics_for(three)) == {"f1", "auc", "auc_pr"}
    assert sorted(spec.metrics_for(rare)) == sorted(spec.metrics)
    assert "weights" not in spec.learn(even)
    weights = spec.learn(rare)["weights"]
    bad = rare["label"].count("bad")
    assert weights["bad"] / weights["good"] == pytest.approx(math.sqrt((200 - bad) / bad))


def test_average_precision_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    truth = rng.random(300) < 0.1
    margin = np.round(rng.normal(size=300) + truth, 1)
    assert average_precision(truth, margin) == pytest.approx(average_precision_score(truth, margin))
    assert math.isnan(average_precision(np.zeros(3, dtype=bool), np.arange(3.0)))
    found = spec.score(truth.astype(int), np.stack([-margin, margin], axis=1), ["good", "bad"])
    assert found["auc_pr"] == pytest.approx(average_precision_score(truth, margin))


def test_boosted_trees_read_the_columns_as_they_are() -> None:
    train, held = loans(400), loans(100, seed=1)
    held["feature:home"][0] = "a tent"
    held["feature:income"][1] = None
    found = baselines(spec, train, held, spec.labels(train))
    assert set(found) == {"majority", "trees"}
    assert found["trees"]["accuracy"] > 0.95 > found["majority"]["accuracy"]


def test_the_loss_weighs_rare_labels(tmp_path: Path) -> None:
    import torch

    from modelnook.tasks import TASKS

    rows = loans(60, late=0.1)
    task = TASKS.load("table")(spec.labels(rows))
    task.learnt = spec.learn(rows)
    model, tokenizer = task.load(str(tiny_model(tmp_path / "base")))
    model.eval()
    encoded = task.encode(tokenizer, rows, 48)
    with torch.inference_mode():
        whole = task.loss(model, task.collate(tokenizer, encoded)).item()
        parts = [{k: v[i : i + 20] for k, v in encoded.items()} for i in (0, 20, 40)]
        weighed = [(task.loss(model, task.collate(tokenizer, part)).item(), task.weight(part)) for part in parts]
    assert sum(w * loss for loss, w in weighed) / task.weight(encoded) == pytest.approx(whole, rel=1e-4)
    assert task.weight(encoded) != pytest.approx(60)


def test_a_blank_among_numbers_is_a_missing_one() -> None:
    spec = TableClassification()
    learnt = spec.learn({"feature:n": [float(at) for at in range(40)], "label": ["a", "b"] * 20})
    empty, blank, gone = spec.worded([{"n": ""}, {"n": " "}, {"n": None}], learnt)
    assert empty == blank == gone
    with pytest.raises(DataError, match="'many'"):
        spec.worded([{"n": "many"}], learnt)
