"""Sentence similarity: the suite in each form of a table, checks, look-ups, correlations, pooling, false negatives."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelnook as mn
from modelnook.data.columns import find_form
from modelnook.data.read import read
from modelnook.domain.errors import DataError, UnsupportedError
from modelnook.measure.baselines import baselines
from modelnook.measure.score import score
from modelnook.tasks import TASKS
from modelnook.tasks.sentence_similarity import SentenceSimilarity
from modelnook.testing.models import WORDS, tiny_model, tiny_sentence_encoder
from modelnook.testing.tasks import TaskSuite

from .media import records

spec = SentenceSimilarity()

THINGS = WORDS[9:]


def matched(count: int, seed: int = 0) -> dict[str, list[Any]]:
    """Anchors and positives that share two words, and what shares none as the negative."""
    rng = random.Random(seed)
    rows: dict[str, list[Any]] = {"anchor": [], "positive": [], "negative": []}
    for _ in range(count):
        one, two, other = rng.sample(THINGS, 3)
        rows["anchor"].append(f"the {one} and {two}")
        rows["positive"].append(f"{two} with a {one}")
        rows["negative"].append(f"it is a {other}")
    return rows


def scored(count: int, seed: int = 0) -> dict[str, list[Any]]:
    """Pairs that share none, one or two words, and that share of them as the label, from 0 to 5."""
    rng = random.Random(seed)
    rows: dict[str, list[Any]] = {"text": [], "text_pair": [], "label": []}
    for _ in range(count):
        one, two, three, four = rng.sample(THINGS, 4)
        shared = rng.randint(0, 2)
        rows["text"].append(f"{one} {two}")
        rows["text_pair"].append((f"{three} {four}", f"{one} {three}", f"{two} {one}")[shared])
        rows["label"].append(2.5 * shared)
    return rows


class Suite(TaskSuite):
    name = "sentence-similarity"

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_model(tmp_path / "base")


class TestScoredPairs(Suite):
    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return scored(32)


class TestPairs(Suite):
    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        rows = matched(32)
        return {"text": rows["anchor"], "text_pair": rows["positive"]}


class TestTriplets(Suite):
    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return matched(32)


@pytest.mark.parametrize(
    ("columns", "roles"),
    [
        ({"sentence1": "a", "sentence2": "b", "score": 0.5}, "label text text_pair"),
        ({"sentence1": "a", "sentence2": "b"}, "text text_pair"),
        ({"anchor": "a", "positive": "b", "negative": "c"}, "anchor negative positive"),
        ({"anchor": "a", "positive": "b"}, "anchor positive"),
        ({"锚点": "a", "正例": "b", "负例": "c"}, "anchor negative positive"),
    ],
)
def test_any_of_the_forms_is_found(columns: dict[str, Any], roles: str) -> None:
    assert " ".join(find_form(read([columns] * 9), spec.shapes()).to_dict()) == roles


def test_a_table_without_a_second_text_is_told_what_to_name() -> None:
    with pytest.raises(DataError) as caught:
        find_form(read([{"a": "x", "b": "y", "c": 1.5}] * 9), spec.shapes())
    assert "text_pair" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"label": ["entailment", "neutral"] * 8}, "task.not_similarity", "Row 0 "),
        ({"label": [0.5] * 15 + ["x"]}, "task.not_similarity", "Row 15 "),
        ({"label": [0.5] * 15 + [None]}, "task.missing_label", "15"),
        ({"label": [0.5] * 16}, "task.one_score", "0.5"),
        ({"text_pair": [None] * 16}, "task.no_text", "empty"),
    ],
)
def test_what_makes_training_impossible_is_an_error(change: dict[str, list[Any]], code: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        spec.check({**scored(16), **change})
    assert caught.value.code == code
    assert says in str(caught.value)
    assert caught.value.hint


def test_positives_that_are_all_one_text_teach_nothing() -> None:
    with pytest.raises(DataError, match="same second text"):
        spec.check({"text": [f"text {i}" for i in range(9)], "text_pair": ["yes"] * 9})


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_look_ups_agree_with_scikit_learn() -> None:
    from sklearn.metrics import ndcg_score

    rng = np.random.default_rng(0)
    texts = [f"text {i}" for i in range(60)]
    rows = {"anchor": [f"ask {i // 3}" for i in range(60)], "positive": texts}
    truth = spec.truth(rows)
    vectors = unit(rng.normal(size=(60, 2, 8)))
    vectors[:, 0] = unit(vectors[:, 0] + 0.7 * vectors[:, 1])
    near = vectors[:, 0] @ vectors[:, 1].T
    wanted = np.array([[j // 3 == i // 3 for j in range(60)] for i in range(60)])
    found = spec.score(truth, vectors)
    assert found["ndcg@10"] == pytest.approx(ndcg_score(wanted, near + 1, k=10))
    order = np.argsort(-near, axis=1)[:, :10]
    hits = np.take_along_axis(wanted, order, axis=1)
    first = np.where(hits.any(axis=1), 1 / (1 + hits.argmax(axis=1)), 0)
    assert found["mrr@10"] == pytest.approx(first.mean())
    assert found["recall@10"] == pytest.approx((hits.sum(axis=1) / 3).mean())
    assert spec.score(truth, near) == pytest.approx(found), "cosines of a baseline are scored the same way"
    values, intervals = score(spec, truth, vectors, [])
    assert values == found
    assert all(intervals[name][0] < value < intervals[name][1] for name, value in found.items())


def test_a_text_is_not_its_own_answer_unless_it_is() -> None:
    rows = {"text": ["a", "b", "c"], "text_pair": ["b", "a", "c"]}
    same = unit(np.array([[1.0, 0], [1.0, 0], [0, 1.0]]))
    outputs = np.stack([same, same], axis=1)
    assert spec.score(spec.truth(rows), outputs)["mrr@10"] == 1.0


def test_correlations_agree_with_scipy() -> None:
    from scipy import stats

    rng = np.random.default_rng(1)
    vectors = unit(rng.normal(size=(80, 2, 4)))
    cosines = (vectors[:, 0] * vectors[:, 1]).sum(-1)
    truth = np.round(cosines + rng.normal(0, 0.3, 80), 1)
    found = spec.score(truth, vectors)
    assert found["spearman"] == pytest.approx(stats.spearmanr(truth, cosines).statistic)
    assert found["pearson"] == pytest.approx(stats.pearsonr(truth, cosines).statistic)
    _, intervals = score(spec, truth, vectors, [], resamples=200)
    assert intervals["spearman"][0] < found["spearman"] < intervals["spearman"][1]


def test_rows_decide_which_metric_comes_first() -> None:
    assert spec.metrics_for(scored(9))[0] == "spearman"
    assert spec.metrics_for(matched(9))[0] == "ndcg@10"


def test_words_in_common_are_the_baseline() -> None:
    assert baselines(spec, matched(200), matched(40, seed=1), [])["tfidf"]["ndcg@10"] > 0.8
    assert baselines(spec, scored(200), scored(40, seed=1), [])["tfidf"]["spearman"] > 0.9


def loaded(folder: Path, rows: dict[str, list[Any]]) -> tuple[Any, Any, Any]:
    task = TASKS.load("sentence-similarity")()
    task.learnt = spec.learn(rows)
    return (task, *task.load(str(folder)))


def test_vectors_are_the_mean_of_the_tokens(tmp_path: Path) -> None:
    import torch

    task, model, tokenizer = loaded(tiny_model(tmp_path / "m"), matched(9))
    model.eval()
    text = "the dog and the cat"
    with torch.inference_mode():
        hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
        batch = task.collate(tokenizer, task.encode(tokenizer, {"text": [text, text + " in the sun today"]}, 32))
        outputs = task.outputs(model, batch).numpy()
    assert outputs.shape == (2, 1, 32)
    np.testing.assert_allclose(outputs[0, 0], unit(hidden.mean(axis=0)), atol=1e-5)
    vector = spec.answers(outputs)[0]["vector"]
    assert np.linalg.norm(vector) == pytest.approx(1)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": ["cls"]}, "cls"),
        ({"pooling_mode": ["cls", "mean"]}, None),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_lasttoken": True}, "lasttoken"),
        ({}, None),
        ([], None),
    ],
)
def test_both_forms_of_sentence_transformers_are_read(tmp_path: Path, said: Any, expected: str | None) -> None:
    from modelnook.tasks.pooling import pooling_of

    assert pooling_of(tmp_path) is None
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(said))
    assert pooling_of(tmp_path) == expected


@pytest.mark.parametrize("said", [{"pooling_mode_cls_token": True}, {"pooling_mode": "cls"}])
def test_a_folder_of_sentence_transformers_keeps_its_pooling(tmp_path: Path, said: dict[str, Any]) -> None:
    import torch

    folder = tiny_model(tmp_path / "m")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(said))
    task, model, tokenizer = loaded(folder, matched(9))
    assert task.learnt["pooling"] == "cls"
    model.eval()
    with torch.inference_mode():
        hidden = model(**tokenizer("the dog", return_tensors="pt")).last_hidden_state[0].numpy()
        batch = task.collate(tokenizer, task.encode(tokenizer, {"text": ["the dog", "a cat in the sun"]}, 32))
        np.testing.assert_allclose(task.outputs(model, batch)[0, 0].numpy(), unit(hidden[0]), atol=1e-5)


@pytest.mark.parametrize(
    ("parts", "pooling", "named"),
    [
        (("Transformer", "Pooling", "LayerNorm", "Normalize"), {"pooling_mode_cls_token": True}, "LayerNorm"),
        (("Transformer", "Pooling"), {"pooling_mode": "weightedmean"}, "weightedmean"),
        (("Transformer", "Pooling"), {"pooling_mode": ["cls", "max"]}, r"cls \+ max"),
    ],
)
def test_vectors_made_in_a_way_that_is_not_known_are_refused(
    tmp_path: Path, parts: tuple[str, ...], pooling: dict[str, Any], named: str
) -> None:
    folder = tiny_sentence_encoder(tmp_path / "m")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    said = [{"idx": i, "type": f"sentence_transformers.models.{part}"} for i, part in enumerate(parts)]
    (folder / "modules.json").write_text(json.dumps(said))
    with pytest.raises(UnsupportedError, match=named) as caught:
        loaded(folder, matched(9))
    assert caught.value.code == "task.odd_vectors"


def test_the_greatest_values_are_those_of_the_text_alone(tmp_path: Path) -> None:
    import torch

    folder = tiny_sentence_encoder(tmp_path / "m")
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    task, model, tokenizer = loaded(folder, matched(9))
    model.eval()
    with torch.inference_mode():
        hidden = model(**tokenizer("the dog", return_tensors="pt")).last_hidden_state[0].numpy()
        batch = task.collate(tokenizer, task.encode(tokenizer, {"text": ["the dog", "a cat in the sun"]}, 32))
        np.testing.assert_allclose(task.outputs(model, batch)[0, 0].numpy(), unit(hidden.max(axis=0)), atol=1e-5)


def test_what_says_the_same_is_no_wrong_answer(tmp_path: Path) -> None:
    rows = {
        "anchor": ["dog", "cat", "dog", "sun"],
        "positive": ["it is", "to be", "we are", "it is"],
        "negative": ["rain", "it is", "rain", "rain"],
    }
    task, _, tokenizer = loaded(tiny_model(tmp_path / "m"), rows)
    same = task.collate(tokenizer, task.encode(tokenizer, rows, 8))["same"].int().tolist()
    assert same[0] == [0, 0, 1, 1, 0, 1, 0, 0]
    assert same[1] == [0] * 8
    assert same[3] == [1, 0, 0, 0, 0, 1, 0, 0]


def test_scores_on_any_scale_are_learnt_from_0_to_1(tmp_path: Path) -> None:
    rows = scored(32)
    task, _, tokenizer = loaded(tiny_model(tmp_path / "m"), rows)
    labels = task.encode(tokenizer, rows, 8)["labels"]
    assert sorted(set(labels)) == [0, 0.5, 1]
    within = {**rows, "label": [label / 10 for label in rows["label"]]}
    assert spec.learn(within) == {"low": 0, "high": 1}


def test_a_model_of_images_gives_no_vectors_of_texts(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    ViTModel(ViTConfig(image_size=8, patch_size=4, **sizes)).save_pretrained(tmp_path / "vit")
    with pytest.raises(UnsupportedError, match="ViTModel") as caught:
        TASKS.load("sentence-similarity")().load(str(tmp_path / "vit"))
    assert caught.value.hint


def test_validation_rows_of_another_form_are_refused_by_name(tmp_path: Path) -> None:
    base = str(tiny_model(tmp_path / "base"))
    with pytest.raises(DataError, match=r"eval_data.*spearman, pearson where those are by ndcg@10"):
        mn.finetune(base, records(matched(20)), eval_data=records(scored(20)), task=spec.name)
