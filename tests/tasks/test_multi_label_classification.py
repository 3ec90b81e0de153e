"""Multi-label classification: the suite, how labels are read, the checks, metrics against scikit-learn, pairs."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelnook as mn
from modelnook.domain.errors import DataError
from modelnook.measure.baselines import baselines
from modelnook.measure.score import score
from modelnook.tasks.multi_label_classification import MultiLabelClassification, label_sets
from modelnook.testing.models import WORDS, tiny_model
from modelnook.testing.tasks import TaskSuite

spec = MultiLabelClassification()

NAMES = ("dog", "cat", "sun")


def tagged(count: int, seed: int = 0) -> dict[str, list[Any]]:
    """Texts with the names of their labels among other words; some have none."""
    rng = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        chosen = [name for name in NAMES if rng.random() < 0.4]
        words = [*rng.choices(WORDS[:9], k=2), *chosen, *chosen]
        rng.shuffle(words)
        texts.append(" ".join(words))
        labels.append(chosen)
    return {"text": texts, "label": labels}


class TestMultiLabelClassification(TaskSuite):
    name = "multi-label-classification"

    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return tagged(32)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_model(tmp_path / "base")


class TestPairs(TestMultiLabelClassification):
    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        rows = tagged(32)
        return {**rows, "text_pair": rows["text"][::-1]}


def test_lists_and_divided_texts_are_read() -> None:
    assert label_sets([["b", "a"], "a|b", "a; c", "体育；政治", 3, "", [], ["a", "a"]]) == [
        ["b", "a"], ["a", "b"], ["a", "c"], ["体育", "政治"], ["3"], [], [], ["a"],
    ]  # fmt: skip
    assert spec.labels({"label": ["10|2", [1], ["2"]]}) == ["1", "2", "10"]


@pytest.mark.parametrize("gap", [None, math.nan])
def test_an_empty_cell_among_divided_texts_is_no_label(gap: Any) -> None:
    assert label_sets(["a|b", gap, "a", 3]) == [["a", "b"], [], ["a"], ["3"]]
    labels = ["a|b", gap, "a"] * 5
    (warned,) = spec.check({"label": labels, "text": ["x"] * len(labels)})
    assert "5 rows have an empty label" in warned.message
    assert spec.truth({"label": labels[:3]}, ["a", "b"]).tolist() == [[1, 1], [0, 0], [1, 0]]


@pytest.mark.slow
def test_rows_of_a_file_without_a_label_are_examples(tmp_path: Path) -> None:
    lines = [f"w{i % 3} word {i},{('a|b', '', 'a')[i % 3]}" for i in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *lines]))
    file = str(tmp_path / "rows.csv")
    run = mn.finetune(data=file, task="multi-label-classification", method="tfidf", track="none", on="kernel")
    assert run.state == "finished"
    assert [said for said in run.record.warnings if "20 rows have an empty label" in str(said)]


@pytest.mark.parametrize(
    ("labels", "code", "row"),
    [
        ([["a"], ["b"], ["a"]], "task.too_few_rows", None),
        ([["a"]] * 10, "task.one_class", None),
        ([[]] * 10, "task.no_labels", None),
        ([None] * 10, "task.no_labels", None),
        ([["a"], ["a", "b"]] * 5 + [None], "task.missing_labels", 10),
        ([["a"], ["a", "b"]] * 5 + [math.nan], "task.missing_labels", 10),
        ([["a"], ["a", "b"]] * 5 + [["a", None]], "task.missing_labels", 10),
        ([[f"name {i}"] for i in range(50)], "task.too_many_classes", None),
        ([[1, 0, 0], [0, 1, 1]] * 5, "task.label_indicators", None),
        ([(True, False), (False, True)] * 5, "task.label_indicators", None),
    ],
)
def test_what_makes_training_impossible_is_an_error(labels: list[Any], code: str, row: int | None) -> None:
    with pytest.raises(DataError) as caught:
        spec.check({"label": labels, "text": [f"text {i}" for i in range(len(labels))]})
    assert caught.value.code == code
    assert caught.value.hint
    assert row is None or f"Row {row} " in str(caught.value)


def test_what_is_only_odd_is_warned_of() -> None:
    def said(labels: list[Any]) -> list[str]:
        return [w.code for w in spec.check({"label": labels, "text": ["x"] * len(labels)})]

    assert said([["a"], ["a", "b"]] * 5) == []
    assert said([["a"], ["b"]] * 5) == ["task.single_labels"]
    assert said([["a"], ["a", "b"]] * 5 + [["c", "a"]]) == ["task.rare_class"]


def test_a_label_that_the_model_does_not_know_names_its_row() -> None:
    with pytest.raises(DataError, match=r"Row 1 has the label 'sprot'.*Did you mean 'sport'"):
        spec.truth({"label": [["sport"], ["news", "sprot"]]}, ["news", "sport"])


def test_metrics_agree_with_scikit_learn() -> None:
    from sklearn import metrics

    rng = np.random.default_rng(0)
    truth = (rng.random((200, 4)) < 0.4).astype(np.float32)
    logits = rng.normal(size=(200, 4)) + 2 * truth - 1
    guess = logits > 0
    found = spec.score(truth, logits)
    assert list(found) == list(spec.metrics)
    assert found["f1_micro"] == pytest.approx(metrics.f1_score(truth, guess, average="micro"))
    assert found["f1_macro"] == pytest.approx(metrics.f1_score(truth, guess, average="macro"))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, guess))
    shares = 1 / (1 + np.exp(-logits))
    losses = [metrics.log_loss(truth[:, i], shares[:, i]) for i in range(4)]
    assert found["loss"] == pytest.approx(np.mean(losses))
    table = spec.tables(truth, logits, list("abcd"))["per_class"]
    precision, recall, f1, rows = metrics.precision_recall_fscore_support(truth, guess)
    for i, row in enumerate(table.rows):
        assert row == ("abcd"[i], *map(pytest.approx, (precision[i], recall[i], f1[i], rows[i])))
    values, intervals = score(spec, truth, logits, list("abcd"))
    assert values == found
    assert all(intervals[name][0] < value < intervals[name][1] for name, value in found.items())


def test_answers_are_the_labels_over_a_half() -> None:
    one, none = spec.answers(np.array([[3.0, -2.0, 0.5], [-4.0, -4.0, -4.0]]), ["a", "b", "c"])
    assert one["label"] == ["a", "c"]
    assert one["scores"]["b"] == pytest.approx(1 / (1 + math.exp(2)))
    assert one["score"] == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert none["label"] == []
    assert none["score"] == pytest.approx(1 / (1 + math.exp(-4)))
    assert spec.agree(np.array([[1.0, -1], [1, 1]]), np.array([[2.0, -3], [1, -1]])).tolist() == [True, False]


def test_baselines_learn_each_label_by_itself() -> None:
    train, held = tagged(200), tagged(60, seed=1)
    held["label"][0] = []
    found = baselines(spec, train, held, sorted(NAMES))
    assert found["tfidf"]["f1_macro"] > 0.9
    assert found["majority"]["f1_micro"] < 0.5 < found["majority"]["loss"]


def test_scripts_know_labels_that_are_whole_numbers_among_floats() -> None:
    from modelnook.finetune.scripts import classic, multi_label_classification

    for target in (multi_label_classification.TARGET, classic.SET_TARGET):
        scope: dict[str, Any] = {"LABELS": ["1", "2", "sun"]}
        exec(target, scope)
        assert [scope["target"](value) for value in ([1.0, 2.0], [2], "sun | 1")] == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
