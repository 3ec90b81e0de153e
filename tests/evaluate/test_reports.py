"""Reports and comparisons."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modelnook.domain.errors import DataError
from modelnook.domain.run import Comparison, Evaluation
from modelnook.evaluate.compare import front, row_of, table_of
from modelnook.evaluate.report import evaluate
from modelnook.measure.probe import Probe
from modelnook.tasks.text_classification import TextClassification
from modelnook.testing.models import tiny_rows

SPEC = TextClassification()
ROWS = tiny_rows(40)
LABELS = ["ham", "spam"]


def answers(right: float) -> np.ndarray:
    truth = SPEC.truth(ROWS, LABELS)
    wrong = np.arange(len(truth)) >= right * len(truth)
    return np.eye(2, dtype=np.float32)[np.where(wrong, 1 - truth, truth)] * 4


def probe(right: float, size: int, p50: float) -> Probe:
    return Probe(size, p50, 2 * p50, 100.0, 0.1, None, "onnx", 1, LABELS, answers(right))


def test_an_evaluation_has_all_its_parts() -> None:
    parts = evaluate(SPEC, answers(0.9), ROWS, LABELS, train=tiny_rows(80, seed=3))
    assert parts.metrics["accuracy"] == 0.9
    low, high = parts.intervals["accuracy"]
    assert low < 0.9 < high
    assert set(parts.baselines) == {"majority", "tfidf"}
    measured = {n: getattr(parts, n) for n in ("metrics", "intervals", "baselines")}
    made = Evaluation("r", "m", data={}, primary_metric="accuracy", **measured, **parts.tables)
    assert made.to_dict()["confusion"]["columns"] == ["label", "ham", "spam"]
    assert made.table().columns == ("metric", "value", "low", "high", "majority", "tfidf")


def test_a_label_that_the_model_does_not_know_is_named() -> None:
    with pytest.raises(DataError, match="eggs"):
        evaluate(SPEC, answers(1.0)[:1], {"text": ["a"], "label": ["eggs"]}, LABELS)


def test_tables_are_json() -> None:
    found = {n: table.to_dict() for n, table in SPEC.tables(SPEC.truth(ROWS, LABELS), answers(0.9), LABELS).items()}
    assert json.loads(json.dumps(found)) == found
    assert found["per_class"]["columns"] == ["label", "precision", "recall", "f1", "rows"]
    assert SPEC.tables([], np.empty((0, 2)), LABELS) == {}


def test_slices_show_where_it_is_wrong() -> None:
    halves = ["first"] * 20 + ["second"] * 20
    found = evaluate(SPEC, answers(0.75), ROWS, LABELS, metrics=["accuracy"], sliced={"half": halves})
    assert set(found.metrics) == set(found.intervals) == {"accuracy"}
    assert [row[:4] for row in found.tables["slices"].rows] == [("half", "second", 20, 0.5), ("half", "first", 20, 1.0)]


def test_slices_begin_with_the_worst_also_where_less_is_better() -> None:
    halves = ["first"] * 20 + ["second"] * 20
    found = evaluate(SPEC, answers(0.75), ROWS, LABELS, metrics=["loss"], sliced={"half": halves})
    (_, worst, _, more, *_), (_, best, _, less, *_) = found.tables["slices"].rows
    assert (worst, best) == ("second", "first")
    assert more > less


def test_a_comparison_puts_the_primary_metric_first() -> None:
    models = [
        row_of("local:big@1", SPEC, ROWS, probe(0.95, 100, 10.0)),
        row_of("local:small@1", SPEC, ROWS, probe(0.9, 25, 2.0)),
        row_of("local:worse@1", SPEC, ROWS, probe(0.85, 30, 3.0)),
    ]
    assert json.loads(json.dumps(models)) == models
    table, best = table_of(models, "accuracy")
    assert table.columns[:4] == ("model", "accuracy", "low", "high")
    assert [row[1] for row in table.rows] == [0.95, 0.9, 0.85]
    assert best == ("local:big@1", "local:small@1")
    Comparison(table, best, "accuracy", {}).to_dict()
    # Where each was measured is said once one of them wasn't on a CPU.
    assert "device" not in table.columns
    table, _ = table_of([{**models[0], "device": "cuda"}, *models[1:]], "accuracy")
    assert [row[table.columns.index("device")] for row in table.rows] == ["cuda", "cpu", "cpu"]


def test_less_may_be_better() -> None:
    models = [row_of(name, SPEC, ROWS, probe(right, 10, 1.0)) for name, right in (("a", 0.9), ("b", 0.5))]
    table, best = table_of(models, "loss")
    assert table.columns[1] == "loss"
    assert best == ("a",)


def test_equals_stand_on_the_front_together() -> None:
    assert front([("a", 0.9, 10, 1), ("b", 0.9, 10, 1), ("c", 0.9, 11, 1)]) == ("a", "b")
    assert front([]) == ()
    assert table_of([], "accuracy")[1] == ()
