"""Intervals against exact and brute-force ones; the classes' table; paired drops."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from modelnook.measure import score as room
from modelnook.measure.score import agreement, paired_drop, rows_needed, score, wilson
from modelnook.tasks.spec import Spec
from modelnook.tasks.text_classification import TextClassification

LABELS = ["a", "b", "c"]


def made(rows: int, classes: int, skill: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, rows)
    outputs = random.normal(size=(rows, classes))
    outputs[np.arange(rows), truth] += skill
    return truth, outputs


def test_the_metrics_are_the_tasks_own() -> None:
    truth, outputs = made(300, 3, 1.0)
    metrics, intervals = score(TextClassification, truth, outputs, LABELS)
    assert metrics == TextClassification().score(truth, outputs, LABELS)
    assert set(intervals) == set(metrics)
    for name, (low, high) in intervals.items():
        assert low <= metrics[name] <= high


@pytest.mark.parametrize(("right", "interval"), [(True, (0.676, 1.0)), (False, (0.0, 0.324))])
def test_a_few_rows_that_are_all_right_are_no_certainty(right: bool, interval: tuple[float, float]) -> None:
    """Wilson's interval of 8 or 0 of 8, as statsmodels gives it."""
    truth = np.array([0, 1] * 4)
    outputs = np.eye(2)[truth if right else 1 - truth] * 3
    metrics, intervals = score(TextClassification, truth, outputs, LABELS[:2])
    assert metrics["accuracy"] == float(right)
    assert intervals["accuracy"] == pytest.approx(interval, abs=5e-4)


@pytest.mark.parametrize("classes", [2, 3])
def test_intervals_are_those_of_resampled_rows(classes: int) -> None:
    truth, outputs = made(400, classes, 1.0, seed=4)
    labels = LABELS[:classes]
    _, intervals = score(TextClassification, truth, outputs, labels)
    random = np.random.default_rng(1)
    task = TextClassification()
    draws = []
    for _ in range(1500):
        taken = random.integers(0, 400, 400)
        draws.append(task.score(truth[taken], outputs[taken], labels))
    for name, (low, high) in intervals.items():
        brute = np.percentile([draw[name] for draw in draws], (2.5, 97.5))
        assert (low, high) == pytest.approx(tuple(brute), abs=0.012), name


def test_accuracys_interval_is_near_the_exact_one() -> None:
    truth = np.zeros(1000, dtype=int)
    outputs = np.tile([1.0, 0.0], (1000, 1))
    outputs[:100] = [0.0, 1.0]
    truth[0] = 1
    _, intervals = score(TextClassification, truth, outputs, ["a", "b"])
    assert intervals["accuracy"] == pytest.approx(wilson(901, 1000), abs=0.004)


def test_the_same_input_gives_the_same_interval() -> None:
    truth, outputs = made(200, 3, 1.0)
    assert score(TextClassification, truth, outputs, LABELS) == score(TextClassification, truth, outputs, LABELS)


def test_no_rows() -> None:
    assert score(TextClassification, [], np.empty((0, 3)), LABELS) == ({}, {})


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 150])
def test_ten_thousand_rows_are_quick(classes: int) -> None:
    truth, outputs = made(10_000, classes, 2.0)
    labels = [str(i) for i in range(classes)]
    began = time.process_time()
    score(TextClassification, truth, outputs, labels, resamples=1000)
    assert time.process_time() - began < 4


def test_classes_and_confusion() -> None:
    truth = np.array([0, 0, 1, 2, 2, 2])
    outputs = np.eye(3)[[0, 1, 1, 2, 2, 0]]
    found = TextClassification().tables(truth, outputs, LABELS)
    table = found["confusion"]
    assert table.columns == ("label", "a", "b", "c")
    assert table.rows == (("a", 1, 1, 0), ("b", 0, 1, 0), ("c", 1, 0, 2))
    rows = {row[0]: row[1:] for row in found["per_class"].rows}
    assert rows["a"] == (0.5, 0.5, 0.5, 2)
    assert rows["c"] == (1.0, pytest.approx(2 / 3), pytest.approx(0.8), 3)


class Edits(TextClassification):
    """Errors a word: a metric that is a quotient of two sums."""

    metrics = ("wer",)

    def score(self, truth: Any, outputs: Any, labels: Any) -> dict[str, float]:
        return {"wer": float(self.metrics_of(self.sums(truth, outputs, labels).sum(axis=0))["wer"])}

    def draws(self, truth: Any, outputs: Any, labels: Any, resamples: int, random: Any) -> Any:
        return Spec.draws(self, truth, outputs, labels, resamples, random)

    def sums(self, truth: Any, outputs: Any, labels: Any) -> Any:
        return np.stack([outputs, truth], axis=1).astype(float)

    def metrics_of(self, sums: Any) -> Any:
        return {"wer": sums[..., 0] / sums[..., 1]}


def test_a_metric_of_sums_is_drawn_at_once() -> None:
    random = np.random.default_rng(0)
    words = random.integers(3, 20, 300)
    errors = random.binomial(words, 0.2)
    metrics, intervals = score(Edits, words, errors, ())
    assert metrics["wer"] == pytest.approx(errors.sum() / words.sum())
    draws = [errors[i].sum() / words[i].sum() for i in random.integers(0, 300, (2000, 300))]
    assert intervals["wer"] == pytest.approx(tuple(np.percentile(draws, (2.5, 97.5))), abs=0.003)
    drop, (low, high) = paired_drop(Edits, "wer", words, errors, errors + 1, ())
    assert low < drop < high
    assert drop == pytest.approx(300 / words.sum())


def test_agreement_needs_no_labels() -> None:
    one = np.eye(3)[[0, 1, 2, 2]]
    share, (low, high) = agreement(TextClassification(), one, np.eye(3)[[0, 1, 2, 1]])
    assert share == 0.75
    assert low < 0.75 < high


def test_of_two_models_that_are_alike_one_is_seldom_called_better() -> None:
    better = 0
    for seed in range(80):
        truth, before = made(100, 3, 1.0, seed)
        after = made(100, 3, 0.0, seed + 1000)[1]
        after[np.arange(100), truth] += 1.0
        _, (_, high) = paired_drop(TextClassification, "accuracy", truth, before, after, LABELS)
        better += high < 0
    assert better <= 4, "what tuning says of a space without effect"


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "loss"])
def test_a_paired_drop_is_narrower_than_two_intervals(metric: str) -> None:
    truth, before = made(1000, 3, 1.0, seed=2)
    after = before + np.random.default_rng(3).normal(scale=0.05, size=before.shape)
    drop, (low, high) = paired_drop(TextClassification, metric, truth, before, after, LABELS)
    assert low <= drop <= high
    _, intervals = score(TextClassification, truth, before, LABELS)
    width = intervals[metric][1] - intervals[metric][0]
    assert high - low < width / 2


def test_worse_is_positive_whichever_way_a_metric_runs() -> None:
    truth, good = made(400, 3, 3.0)
    _, bad = made(400, 3, 0.0, seed=9)
    for metric in ("accuracy", "loss", "mcc"):
        drop, (low, _) = paired_drop(TextClassification, metric, truth, good, bad, LABELS)
        assert drop > 0
        assert low > 0


def test_rows_needed_grow_as_the_drop_shrinks() -> None:
    assert rows_needed(0.005) > rows_needed(0.01) > rows_needed(0.05)
    assert rows_needed(0) == 0


def test_resamples_are_bounded_in_time() -> None:
    assert room.ROW_DRAWS // 1_000_000 < 200
