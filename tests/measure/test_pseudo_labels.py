"""Which rows get a label: the better model gives it, by a rule that labelled rows chose; precision is counted apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from modelnook.classic.tfidf import Tfidf
from modelnook.measure.pseudo_labels import Rule, Said, choose, precision, worth
from modelnook.tasks import TASKS


def shares(confidence: list[float], guess: list[int] | None = None) -> np.ndarray:
    """Of two classes."""
    found = np.array([[value, 1 - value] for value in confidence])
    flipped = np.array(guess or [0] * len(confidence), dtype=bool)
    found[flipped] = found[flipped][:, ::-1]
    return found


def told(confidence: list[float], right: list[bool]) -> tuple[Said, np.ndarray]:
    """Two models that always say the same."""
    both = shares(confidence)
    return Said(both, both), np.where(right, 0, 1)


def test_rows_on_which_the_models_differ_are_not_taken() -> None:
    said = Said.of([[2.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]])
    assert said.labels(Rule("first", True, 0.0))[1].tolist() == [True, False]
    guess, taken = said.labels(Rule("second", False, 0.0))
    assert (guess.tolist(), taken.tolist()) == ([0, 1], [True, True])
    assert said.first.max(axis=1) == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_the_threshold_leaves_out_what_is_often_wrong() -> None:
    said, truth = told([0.99] * 60 + [0.65] * 40, [True] * 60 + [True, False] * 20)
    assert choose(said, truth) == Rule("first", True, 0.7)
    said, truth = told([0.99] * 60 + [0.65] * 40, [True] * 100)
    assert choose(said, truth) == Rule("first", True, 0.0), "no reason to leave any out"


def test_many_labels_of_middling_quality_are_worth_more_than_few_good_ones() -> None:
    assert worth(600, 1000, 15) > worth(95, 100, 15) > worth(70, 1000, 15)
    assert worth(500, 1000, 2) == 0, "of two classes half is chance"
    rng = np.random.default_rng(0)
    sure, right = rng.uniform(size=1000) < 0.1, rng.uniform(size=1000)
    right = right < np.where(sure, 0.95, 0.55)
    second = np.full((1000, 15), 0.3 / 14)
    second[:, 0] = 0.7
    second[sure] = [0.99] + [0.01 / 14] * 14
    said = Said(np.roll(second, 1, axis=1), second)
    assert choose(said, np.where(right, 0, 1)) == Rule("second", False, 0.0)


def test_the_better_model_gives_the_labels() -> None:
    truth = np.array([0, 1] * 100)
    good, poor = shares([0.8] * 200, truth.tolist()), shares([0.9] * 200)
    assert choose(Said(poor, good), truth) == Rule("second", False, 0.0)
    assert choose(Said(good, poor), truth) == Rule("first", True, 0.0)


def test_their_agreement_is_asked_where_it_is_worth_more() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 2000)
    first, second = (np.where(rng.uniform(size=2000) < right, truth, 1 - truth) for right in (0.70, 0.72))
    said = Said(shares([0.9] * 2000, first.tolist()), shares([0.9] * 2000, second.tolist()))
    found = choose(said, truth)
    assert found == Rule("second", True, 0.0)


def test_where_nothing_is_right_nothing_is_taken() -> None:
    said, truth = told([0.99] * 20, [False] * 20)
    assert choose(said, truth) is None
    assert precision(said, truth) == (0, 0)
    assert choose(said.part(np.array([], dtype=int)), truth[:0]) is None


def test_precision_is_counted_on_rows_that_chose_nothing() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1.0, 4000)
    right = rng.uniform(size=4000) < np.where(confidence < 0.8, 0.6, 0.95)
    said, truth = told(confidence.tolist(), right.tolist())
    hits, total = precision(said, truth)
    rule = choose(said, truth)
    assert rule is not None
    assert rule.threshold == 0.8
    assert hits / total == pytest.approx(right[confidence >= 0.8].mean(), abs=0.01)
    assert 0 < total < 4000


@pytest.mark.real
@pytest.mark.slow
def test_characters_label_thousands_of_chinese_headlines_as_well_as_was_said(shared_data: Path) -> None:
    """TNEWS, 15 classes: beside a model that knows nothing, TF-IDF's labels of half of the rows are 60% right."""
    pytest.importorskip("sklearn")
    spec = TASKS.load("text-classification", light=True)()
    train, held, test = (titles(shared_data, name) for name in ("train_few_all", "dev_few_all", "test_public"))
    labels = sorted(set(train["label"]))
    learnt = Tfidf.learn(spec, train, labels)
    assert learnt is not None
    knows_nothing = np.zeros((1, len(labels)))
    truth = np.asarray(spec.truth(held, labels))
    said = Said.of(knows_nothing.repeat(len(truth), axis=0), learnt.outputs(spec, held))
    rule, (right, total) = choose(said, truth), precision(said, truth)
    assert rule is not None
    assert (rule.teacher, rule.agree) == ("second", False)
    truth = np.asarray(spec.truth(test, labels))
    guess, taken = Said.of(knows_nothing.repeat(len(truth), axis=0), learnt.outputs(spec, test)).labels(rule)
    assert taken.mean() > 0.35
    assert (guess[taken] == truth[taken]).mean() == pytest.approx(right / total, abs=0.05)


def titles(data: Path, name: str) -> dict[str, list[str]]:
    lines = (data / "fewclue-tnews" / f"{name}.json").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return {"text": [row["sentence"] for row in rows], "label": [row["label_desc"] for row in rows]}
