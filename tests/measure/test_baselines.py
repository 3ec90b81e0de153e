"""The baselines: learnt from training, scored on evaluation rows, in bounded time."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
from tests.conftest import needed

from modelnook.measure import baselines as room
from modelnook.measure.baselines import baselines, unspaced
from modelnook.tasks.text_classification import TextClassification
from modelnook.testing.models import tiny_rows

SPEC = TextClassification()


def test_words_that_tell_the_class_are_found() -> None:
    needed("sklearn")
    train, evaluation = tiny_rows(120), tiny_rows(60, seed=1)
    found = baselines(SPEC, train, evaluation, ["ham", "spam"])
    assert found["majority"]["accuracy"] == 0.5
    assert found["tfidf"]["accuracy"] > 0.95
    assert set(found["tfidf"]) == set(found["majority"]) == set(SPEC.metrics)


def test_the_majority_is_that_of_training() -> None:
    train = {"text": ["x"] * 10, "label": ["a"] * 7 + ["b"] * 3}
    evaluation = {"text": ["x"] * 4, "label": ["b", "b", "b", "a"]}
    assert baselines(SPEC, train, evaluation, ["a", "b"])["majority"]["accuracy"] == 0.25


def test_without_training_rows_there_is_only_a_majority() -> None:
    evaluation = {"text": ["x"] * 4, "label": ["b", "b", "b", "a"]}
    found = baselines(SPEC, None, evaluation, ["a", "b"])
    assert set(found) == {"majority"}
    assert found["majority"]["accuracy"] == 0.75


def test_classes_that_training_never_saw() -> None:
    needed("sklearn")
    train = {"text": ["good day", "bad day"] * 8, "label": ["a", "b"] * 8}
    evaluation = {"text": ["good day", "odd day"], "label": ["a", "c"]}
    found = baselines(SPEC, train, evaluation, ["a", "b", "c"])
    assert found["tfidf"]["accuracy"] == 0.5


def test_texts_without_a_word() -> None:
    needed("sklearn")
    train = {"text": ["!", "?", None, ""] * 4, "label": ["a", "b", "a", "b"] * 4}
    assert set(baselines(SPEC, train, train, ["a", "b"])) == {"majority"}


def test_no_rows() -> None:
    assert baselines(SPEC, tiny_rows(8), {"text": [], "label": []}, ["ham", "spam"]) == {}


def test_scripts_without_spaces_are_told_apart() -> None:
    assert unspaced(["酒店位置很好，早餐一般。"])
    assert unspaced(["とても良いホテルです"])
    assert not unspaced(["호텔이 아주 좋아요", "a fine hotel"])


def test_many_rows_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    needed("sklearn")
    monkeypatch.setattr(room, "MOST_ROWS", 50)
    found = baselines(SPEC, tiny_rows(500), tiny_rows(50, seed=4), ["ham", "spam"])
    assert found["tfidf"]["accuracy"] > 0.9


@pytest.mark.real
def test_chinese_reviews_are_read_by_their_characters(shared_data: Path) -> None:
    needed("sklearn")
    file = shared_data / "chnsenticorp-htl" / "ChnSentiCorp_htl_all.csv"
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = [(row["review"], row["label"]) for row in csv.DictReader(stream)]
    random.Random(0).shuffle(rows)
    parts = [{"text": [t for t, _ in part], "label": [y for _, y in part]} for part in (rows[:1500], rows[1500:2000])]
    found = baselines(SPEC, parts[0], parts[1], ["0", "1"])
    assert found["tfidf"]["accuracy"] > found["majority"]["accuracy"] + 0.1
