"""Which answers are sure enough: two models agree, a threshold chosen on labelled rows, precision counted apart."""

from __future__ import annotations

import numpy as np
import pytest

from modelnook.measure.pseudo_labels import NONE, Sure, choose, precision, sure


def told(confidence: list[float], right: list[bool], agree: list[bool] | None = None) -> tuple[Sure, np.ndarray]:
    truth = np.where(right, 0, 1)
    both = np.array(agree if agree is not None else [True] * len(right))
    return Sure(np.zeros(len(right), dtype=np.int64), np.array(confidence), both), truth


def test_rows_on_which_the_models_differ_are_not_taken() -> None:
    said = sure([[2.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]])
    assert said.agree.tolist() == [True, False]
    assert said.taken(0.0).tolist() == [True, False]
    assert said.confidence == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_the_threshold_leaves_out_what_is_often_wrong() -> None:
    said, truth = told([0.99] * 60 + [0.65] * 40, [True] * 60 + [True, False] * 20)
    assert choose(said, truth) == 0.7
    said, truth = told([0.99] * 60 + [0.65] * 40, [True] * 100)
    assert choose(said, truth) == 0.0, "no reason to leave any out"


def test_where_nothing_is_right_nothing_is_taken() -> None:
    said, truth = told([0.99] * 20, [False] * 20)
    assert choose(said, truth) == NONE
    assert not said.taken(NONE).any()
    said, truth = told([0.99] * 20, [True] * 20, [False] * 20)
    assert choose(said, truth) == NONE
    assert precision(said, truth) == (0, 0)


def test_precision_is_counted_on_rows_that_chose_nothing() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1.0, 4000)
    right = rng.uniform(size=4000) < confidence
    said, truth = told(confidence.tolist(), right.tolist())
    hits, total = precision(said, truth)
    threshold = choose(said, truth)
    expected = right[confidence >= threshold].mean()
    assert hits / total == pytest.approx(expected, abs=0.03)
    assert 0 < total < 4000
