"""The whole way of the tasks on texts whose answer isn't one class: rows, run, predictions, an evaluation, LoRA."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.test_multi_label_classification import NAMES, tagged
from tests.tasks.test_text_regression import priced

import modelnook as mn
from modelnook.domain.errors import DataError, NotFoundError, UsageError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("untracked")]

Rows = list[dict[str, Any]]


def records(columns: dict[str, list[Any]]) -> Rows:
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def test_numbers_come_back_in_their_unit(tiny: str) -> None:
    rows = records(priced(240))
    run = mn.finetune(tiny, rows, task="text-regression", name="prices", epochs=8, learning_rate=3e-3)
    assert list(run.metrics) == ["rmse", "mae", "r2", "spearman"]
    low, high = run.intervals["rmse"]
    assert low <= run.metrics["rmse"] <= high
    assert set(run.baselines) == {"mean", "tfidf"}
    assert run.metrics["rmse"] < run.baselines["mean"]["rmse"], "it learnt more than the mean"
    assert mn.info("prices").task == "text-regression"
    answers = mn.predict("prices", ["good good good good good", "meeting report"])
    assert list(answers.columns) == ["value"]
    assert answers["value"][0] > 1500 > 1300 > answers["value"][1]
    held = records(priced(40, seed=9))
    judged = mn.evaluate("prices", held)
    assert judged.primary_metric == "rmse"
    assert judged.metrics["r2"] > 0.5
    assert judged.baselines["tfidf"]["rmse"] < judged.baselines["mean"]["rmse"]
    adapted = mn.finetune(tiny, rows, task="text-regression", name="adapted", method="lora", epochs=1)
    assert (Path(mn.info("adapted").path or "") / "model.safetensors").exists()
    assert 900 < mn.predict("adapted", ["good"])["value"][0] < 2100
    assert adapted.metrics["rmse"] > 0
    with pytest.raises(UsageError, match="few-shot"):
        mn.finetune(tiny, rows, task="text-regression", method="few-shot")
    odd = [*rows, {"text": "x", "label": "dear"}]
    with pytest.raises(DataError, match="Row 240 "):
        mn.finetune(tiny, odd, task="text-regression")


def test_a_small_regression_answers_in_the_unit_too(tiny: str) -> None:
    rows = records(priced(200))
    mn.finetune(tiny, rows, task="text-regression", name="prices", epochs=4, learning_rate=3e-3)
    small = mn.quantize("prices", backend="onnx", max_drop=0.5, name="prices-int8")
    assert small.report is not None
    before, after = small.report["before"]["metrics"]["rmse"], small.report["after"]["metrics"]["rmse"]
    assert after == pytest.approx(before, rel=0.5)
    one, two = (mn.predict(name, rows[0]["text"])["value"][0] for name in ("prices", "prices-int8"))
    assert two == pytest.approx(one, abs=150)


def test_any_number_of_labels(tiny: str) -> None:
    rows = records(tagged(400))
    run = mn.finetune(tiny, rows, task="multi-label-classification", name="topics", epochs=12, learning_rate=3e-3)
    assert list(run.metrics) == ["f1_micro", "f1_macro", "accuracy", "loss"]
    low, high = run.intervals["f1_macro"]
    assert low <= run.metrics["f1_macro"] <= high
    assert set(run.baselines) == {"majority", "tfidf"}
    assert run.metrics["f1_micro"] > max(0.7, run.baselines["majority"]["f1_micro"])
    held = records(tagged(40, seed=9))
    answers = mn.predict("topics", [row["text"] for row in held])
    assert list(answers.columns) == ["label", "score", "scores"]
    right = [set(said) == set(row["label"]) for said, row in zip(answers["label"], held, strict=True)]
    assert sum(right) > 20, "a quarter of three labels would be right by chance"
    assert set(answers["scores"][0]) == set(NAMES)
    joined = [{**row, "label": "|".join(row["label"])} for row in held]
    judged = mn.evaluate("topics", joined)
    assert judged.metrics["accuracy"] == pytest.approx(sum(right) / 40)
    assert judged.per_class is not None
    assert len(judged.per_class) == len(NAMES)
    mn.finetune(tiny, rows, task="multi-label-classification", name="adapted", method="lora", epochs=1)
    assert (Path(mn.info("adapted").path or "") / "model.safetensors").exists()


def test_a_label_of_one_row_is_a_label_whichever_side_it_falls_on(tiny: str) -> None:
    rows = records(tagged(60))
    rows += [{"text": f"the {name}", "label": [name, "dog"]} for name in ("rain", "lunch", "click", "prize")]
    for seed in (0, 1, 2):
        run = mn.finetune(
            tiny, rows, task="multi-label-classification", epochs=0.2, seed=seed, split="group:text", on="kernel"
        )
        assert run.params["labels"] == 7


def nli(count: int, seed: int = 0) -> Rows:
    """Premises and hypotheses of the same words: only which of the two is good tells."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        words = ["good", "bad"]
        rng.shuffle(words)
        thing = rng.choice(("dog", "cat", "sun", "rain"))
        one, other = (f"the {word} {thing}" for word in words)
        made.append({"premise": one, "hypothesis": other, "label": "worse" if words[0] == "good" else "better"})
    return made


def test_pairs_are_found_by_name_and_quantized(tiny: str) -> None:
    rows = nli(300)
    run = mn.finetune(tiny, rows, name="pairs", epochs=12, learning_rate=3e-3)
    assert mn.info("pairs").task == "text-classification"
    assert run.record.data is not None
    assert run.record.data["columns"] == {"text": "premise", "text_pair": "hypothesis", "label": "label"}
    assert run.metrics["accuracy"] > 0.8, "the words of both are the same: which text has which must be seen"
    held = nli(40, seed=5)
    answers = mn.predict("pairs", [{k: row[k] for k in ("premise", "hypothesis")} for row in held])
    assert (answers["label"] == [row["label"] for row in held]).mean() > 0.8
    assert mn.evaluate("pairs", held).metrics["accuracy"] > 0.8
    small = mn.quantize("pairs", backend="onnx", name="pairs-int8", max_drop=0.1)
    assert small.report is not None
    assert small.report["after"]["metrics"]["accuracy"] > 0.8
    again = mn.predict("pairs-int8", [{k: row[k] for k in ("premise", "hypothesis")} for row in held])
    assert (again["label"] == answers["label"]).mean() > 0.9


@pytest.mark.real
def test_graded_sentiment_of_tweets_on_real_weights(minilm: Path, shared_data: Path) -> None:
    lines = (shared_data / "vader-truth" / "tweets_GroundTruth.txt").read_text(encoding="utf-8").splitlines()
    rows = [dict(zip(("id", "label", "text"), line.split("\t", 2), strict=True)) for line in lines]
    knobs = {"epochs": 1, "max_length": 48, "learning_rate": 2e-4}
    run = mn.finetune(str(minilm), rows[:500], task="text-regression", name="graded", **knobs)
    assert run.metrics["spearman"] > 0.5
    assert run.metrics["rmse"] < run.baselines["mean"]["rmse"]
    judged = mn.evaluate("graded", rows[-200:])
    assert judged.metrics["spearman"] > 0.5


@pytest.mark.real
def test_two_domains_in_one_text_on_real_weights(minilm: Path, shared_data: Path) -> None:
    folder = shared_data / "clinc150"
    domains = json.loads((folder / "domains.json").read_text())
    names = ("auto_and_commute", "banking", "kitchen_and_dining", "travel", "work")
    of = {intent: name for name in names for intent in domains[name]}
    lines = json.loads((folder / "data_small.json").read_text())["train"]
    said = [(text, of[intent]) for text, intent in lines if intent in of]
    random.Random(0).shuffle(said)
    rows = [
        {"text": f"{one}. {two}", "label": sorted({a, b})}
        for (one, a), (two, b) in zip(said[:600:2], said[1:600:2], strict=True)
    ]
    knobs = {"epochs": 2, "max_length": 32, "learning_rate": 3e-4, "batch_size": 8}
    run = mn.finetune(str(minilm), rows, task="multi-label-classification", name="domains", **knobs)
    assert run.metrics["f1_micro"] > max(0.7, *(run.baselines[name]["f1_micro"] for name in ("majority", "tfidf")))


@pytest.mark.parametrize("more", ["train", "held"])
def test_what_the_error_of_a_second_text_in_one_table_says_can_be_done(tiny: str, more: str) -> None:
    pairs = nli(60)
    rows = [{"premise": row["premise"], "label": row["label"]} for row in pairs]
    train, held = (pairs[:48], rows[48:]) if more == "train" else (rows[:48], pairs[48:])
    with pytest.raises(DataError, match="text, text_pair") as caught:
        mn.finetune(tiny, train, eval_data=held, dry_run=True)
    [(name, drop)] = re.findall(r"--(\w+) (\w+)", caught.value.hint or "")
    planned = mn.finetune(tiny, train, eval_data=held, dry_run=True, **{name: drop})
    assert planned.columns == {"text": "premise", "label": "label"}
    with pytest.raises(NotFoundError, match="hypotesis"):
        mn.finetune(tiny, train, eval_data=held, drop="hypotesis", dry_run=True)
