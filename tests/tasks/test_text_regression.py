"""Text regression: the suite, the checks, metrics against scikit-learn and scipy, the unit of the answers, pairs."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelnook.domain.errors import DataError
from modelnook.measure.score import paired_drop, score
from modelnook.tasks import TASKS
from modelnook.tasks.text_regression import TextRegression
from modelnook.testing.models import WORDS, tiny_model
from modelnook.testing.tasks import TaskSuite

spec = TextRegression()


def priced(count: int, seed: int = 0) -> dict[str, list[Any]]:
    """Texts whose number is told by how many good words they have: 1,000 and 200 a word."""
    rng = random.Random(seed)
    texts, values = [], []
    for _ in range(count):
        good = rng.randint(0, 5)
        words = [*rng.choices(WORDS[20:40], k=4), *["good"] * good]
        rng.shuffle(words)
        texts.append(" ".join(words))
        values.append(1000.0 + 200 * good)
    return {"text": texts, "label": values}


class TestTextRegression(TaskSuite):
    name = "text-regression"

    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return priced(32)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_model(tmp_path / "base")


class TestPairs(TestTextRegression):
    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        rows = priced(32)
        return {**rows, "text_pair": rows["text"][::-1]}


@pytest.mark.parametrize(
    ("labels", "code", "row"),
    [
        ([1.0, 2, 3], "task.too_few_rows", None),
        ([4.5] * 10, "task.one_value", None),
        ([1, 2] * 5 + [math.nan], "task.missing_label", 10),
        ([1, 2] * 5 + [None], "task.missing_label", 10),
        ([1, 2] * 5 + [" "], "task.missing_label", 10),
        ([1, 2] * 5 + ["cheap"], "task.not_number", 10),
        ([1, 2] * 5 + [math.inf], "task.not_number", 10),
        ([1, 2] * 5 + [[3]], "task.not_number", 10),
    ],
)
def test_what_makes_training_impossible_is_an_error(labels: list[Any], code: str, row: int | None) -> None:
    with pytest.raises(DataError) as caught:
        spec.check({"label": labels, "text": [f"text {i}" for i in range(len(labels))]})
    assert caught.value.code == code
    assert caught.value.hint
    assert row is None or f"row {row}" in str(caught.value).lower()


def test_numbers_written_as_text_are_numbers() -> None:
    assert spec.truth({"label": ["1.5", 2, "-3e2"]}).tolist() == [1.5, 2, -300]


def test_metrics_agree_with_scikit_learn_and_scipy() -> None:
    from scipy import stats
    from sklearn import metrics

    rng = np.random.default_rng(0)
    truth = np.round(rng.normal(500, 100, 200))
    guess = np.round(truth + rng.normal(0, 60, 200), -1)
    found = spec.score(truth, guess)
    assert list(found) == list(spec.metrics)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth, guess))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth, guess))
    assert found["r2"] == pytest.approx(metrics.r2_score(truth, guess))
    assert found["spearman"] == pytest.approx(stats.spearmanr(truth, guess).statistic)
    values, intervals = score(spec, truth, guess, [])
    assert values == found
    assert all(intervals[name][0] < value < intervals[name][1] for name, value in found.items())


def test_constant_truths_and_guesses_have_no_correlation() -> None:
    assert math.isnan(spec.score(np.full(9, 3.0), np.arange(9.0))["r2"])
    assert math.isnan(spec.score(np.arange(9.0), np.full(9, 3.0))["spearman"])
    assert spec.score(np.arange(9.0), np.full(9, 4.0))["r2"] == pytest.approx(0)


def test_a_fall_of_the_error_is_told_as_a_share_of_it() -> None:
    truth = np.arange(100.0) * 1000
    drop, (low, high) = paired_drop(spec, "rmse", truth, truth + 100, truth + 102, [])
    assert drop == pytest.approx(0.02)
    assert low <= drop <= high
    assert paired_drop(spec, "r2", truth, truth + 100, truth + 102, [])[0] < 0.001


def test_answers_agree_where_they_are_near() -> None:
    before = np.array([0.0, 10.0, 20.0])
    assert spec.agree(before, before + np.array([0.1, 5, -0.1])).tolist() == [True, False, True]


def test_outputs_come_back_in_the_unit_of_the_labels(tmp_path: Path) -> None:
    import torch

    rows = priced(32)
    task = TASKS.load("text-regression")()
    task.learnt = spec.learn(rows)
    model, tokenizer = task.load(str(tiny_model(tmp_path / "base")))
    assert model.config.num_labels == 1
    encoded = task.encode(tokenizer, rows, 16)
    assert np.mean(encoded["labels"]) == pytest.approx(0, abs=1e-9)
    assert np.std(encoded["labels"]) == pytest.approx(1)
    batch = task.collate(tokenizer, encoded)
    with torch.inference_mode():
        plain = model(**{k: v for k, v in batch.items() if k != "labels"}).logits.numpy()
        outputs = task.outputs(model, batch).numpy()
    np.testing.assert_allclose(spec.settled(plain, task.learnt), outputs, rtol=1e-5)
    assert 500 < outputs.mean() < 2500
