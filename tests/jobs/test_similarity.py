"""The whole way of an embedding model: each form of a table, look-ups, vectors, LoRA, int8; then on real weights."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.jobs.test_text_tasks import records
from tests.tasks.test_sentence_similarity import matched, scored

import modelnook as mn
from modelnook import api
from modelnook.domain.errors import DataError, UsageError
from modelnook.testing.models import tiny_sentence_encoder

pytestmark = pytest.mark.slow


def test_pairs_that_belong_together(tiny: str) -> None:
    rows = [{"anchor": r["anchor"], "positive": r["positive"]} for r in records(matched(400))]
    run = mn.finetune(tiny, rows, task="sentence-similarity", name="near", epochs=8, learning_rate=3e-3)
    assert list(run.metrics) == ["ndcg@10", "mrr@10", "recall@10"]
    low, high = run.intervals["ndcg@10"]
    assert low <= run.metrics["ndcg@10"] <= high
    assert set(run.baselines) == {"tfidf", "untrained"}
    assert run.record.primary_metric == "ndcg@10"
    assert mn.info("near").task == "sentence-similarity"
    answers = mn.predict("near", ["the dog and cat", "cat with a dog", "it is a win"])
    assert list(answers.columns) == ["vector"]
    one, two, other = answers["vector"]
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert one @ two > one @ other
    held = [{"anchor": r["anchor"], "positive": r["positive"]} for r in records(matched(60, seed=9))]
    judged = mn.evaluate("near", held)
    assert judged.primary_metric == "ndcg@10"
    assert set(judged.metrics) == {"ndcg@10", "mrr@10", "recall@10"}
    assert mn.evaluate("near", records(scored(60))).primary_metric == "spearman", "rows decide what is told"


def test_the_folder_is_a_plain_encoder(tiny: str) -> None:
    from transformers import AutoModel, AutoTokenizer

    mn.finetune(tiny, records(matched(200)), name="plain", epochs=2, learning_rate=3e-3)
    folder = mn.info("plain").path
    assert folder is not None
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    hidden = model(**tokenizer("the dog", return_tensors="pt")).last_hidden_state[0].detach().numpy()
    mean = hidden.mean(axis=0)
    vector = mn.predict("plain", "the dog")["vector"][0]
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-4)
    kept = json.loads((Path(folder) / "config.json").read_text())["modelnook_learnt"]
    assert kept == {"pooling": "mean"}


def test_scored_pairs_and_lora(tiny: str) -> None:
    rows = records(scored(300))
    run = mn.finetune(tiny, rows, task="sentence-similarity", name="graded", method="lora", epochs=6)
    assert list(run.metrics) == ["spearman", "pearson"]
    assert (Path(mn.info("graded").path or "") / "model.safetensors").exists()
    assert run.metrics["spearman"] > run.baselines["untrained"]["spearman"] - 0.1
    with pytest.raises(DataError, match="Row 300 "):
        mn.finetune(tiny, [*rows, {"text": "a", "text_pair": "b", "label": "close"}], task="sentence-similarity")


def test_a_small_model_gives_nearly_the_same_vectors(tiny: str) -> None:
    mn.finetune(tiny, records(scored(200)), task="sentence-similarity", name="graded", epochs=4, learning_rate=1e-3)
    small = mn.quantize("graded", backend="onnx", max_drop=0.2, name="graded-int8")
    assert small.report is not None
    assert small.report["metric"] == "spearman"
    texts = ["the dog", "a cat in the sun", "rain today"]
    one, two = (np.stack(mn.predict(name, texts)["vector"]) for name in ("graded", "graded-int8"))
    assert one.shape == two.shape
    assert (one * two).sum(axis=1).min() > 0.9


def test_a_bare_encoder_gives_vectors_when_asked_to(tiny: str) -> None:
    with mn.load(tiny, task="sentence-similarity") as model:
        assert model.predict(["the dog"])["vector"][0].shape == (32,)
        with pytest.raises(UsageError, match="inputs"):
            model.predict()


def test_layers_after_the_pooling_go_every_way_that_the_model_goes(tmp_path: Path, here: None) -> None:
    def vectors(ref: str | None) -> Any:
        return np.stack(mn.predict(str(ref), texts)["vector"])

    base = tiny_sentence_encoder(tmp_path / "base", dense=((24, "Tanh"), (8, "Identity")))
    rows, texts = records(scored(120)), ["the dog", "a cat in the sun", "rain today"]
    more = {"epochs": 1, "learning_rate": 1e-2, "precision": "fp32"}
    run = mn.finetune(str(base), rows, task="sentence-similarity", name="dense", **more)
    assert run.metrics["spearman"] == pytest.approx(mn.evaluate("dense").metrics["spearman"], abs=1e-4)
    expected = vectors("dense")
    assert expected.shape == (3, 8)
    small = mn.quantize("dense", backend="onnx", max_drop=0.9, name="dense-int8")
    assert (vectors(small.model) * expected).sum(axis=1).min() > 0.9
    (tmp_path / "mnt").mkdir()
    api.add_source("team", str(tmp_path / "mnt"), kind="folder")
    assert mn.publish("dense", "team", license="internal").ref == "team:dense@1"
    mn.pull("team:dense")
    np.testing.assert_allclose(vectors("team:dense"), expected, atol=1e-6)
    flat = mn.prune("dense", max_drop=0.9, name="dense-flat")
    assert vectors(flat.model).shape == (3, 8)
    place = mn.export("dense", tmp_path / "out", to="safetensors")
    np.testing.assert_allclose(vectors(str(place)), expected, atol=1e-6)


@pytest.mark.real
def test_utterances_of_one_intent_on_real_weights(minilm: Path, shared_data: Path) -> None:
    said = json.loads((shared_data / "clinc150" / "data_small.json").read_text())["train"]
    by_intent: dict[str, list[str]] = defaultdict(list)
    for text, intent in said:
        by_intent[intent].append(text)
    rows: list[dict[str, Any]] = [
        {"text": one, "text_pair": two}
        for texts in by_intent.values()
        for one, two in zip(texts[0:12:2], texts[1:12:2], strict=True)
    ]
    random.Random(0).shuffle(rows)
    run = mn.finetune(str(minilm), rows, epochs=1, learning_rate=2e-5, max_length=32, name="intents")
    assert mn.info("intents").task == "sentence-similarity", "two texts and no label tell it"
    assert run.metrics["ndcg@10"] > run.baselines["tfidf"]["ndcg@10"] + 0.1
    assert run.metrics["ndcg@10"] > run.baselines["untrained"]["ndcg@10"] - 0.02
    vectors = np.stack(mn.predict("intents", ["a man plays guitar", "someone strums an instrument"])["vector"])
    assert vectors[0] @ vectors[1] > 0.4
