"""Masked language modelling: what is hidden and when, windows, a new head or the old one, the word that is missing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import modelnook as mn
from modelnook.domain.errors import DataError, UnsupportedError
from modelnook.tasks import TASKS
from modelnook.tasks.fill_mask import FillMask
from modelnook.tasks.text_generation import PLACES
from modelnook.testing.models import WORDS, tiny_model, tiny_writer
from modelnook.testing.tasks import TaskSuite

pytestmark = pytest.mark.usefixtures("untracked")

spec = FillMask()


def texts(count: int, seed: int = 0) -> list[str]:
    """Sentences in which each word tells the next one."""
    starts = np.random.default_rng(seed).integers(0, 12, count)
    return [" ".join(WORDS[(start + i) % 12] for i in range(10)) for start in starts]


def loaded(folder: Path) -> tuple[Any, Any, Any]:
    task = TASKS.load("fill-mask")()
    model, tokenizer = task.load(str(folder))
    return task, model.eval(), tokenizer


class TestFillMask(TaskSuite):
    name = "fill-mask"

    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return {"text": texts(32)}

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_model(tmp_path / "base")

    @pytest.fixture
    def asked(self) -> list[Any]:
        return ["good [MASK] dog", "[MASK]"]


@pytest.mark.parametrize(
    ("rows", "code"), [(["a", "b"], "task.too_few_rows"), ([""] * 9, "task.no_text"), ([None] * 9, "task.no_text")]
)
def test_what_makes_training_impossible_is_an_error(rows: list[Any], code: str) -> None:
    with pytest.raises(DataError) as caught:
        spec.check({"text": rows})
    assert caught.value.code == code


def test_a_seventh_is_hidden_and_special_tokens_never(tmp_path: Path) -> None:
    task, _, tokenizer = loaded(tiny_model(tmp_path / "m"))
    batch = task.collate(tokenizer, task.encode(tokenizer, {"text": [*texts(200), "dog", ""]}, 32))
    ids, free = batch["input_ids"], batch["free"]
    assert not free[ids == tokenizer.cls_token_id].any()
    assert free.sum(dim=1).tolist() == [10] * 200 + [1, 0]
    chosen, kind = torch.rand(ids.shape), torch.rand(ids.shape)
    inputs, labels = task._hidden(batch, free, chosen, kind, torch.full(ids.shape, 7))
    hidden = labels != -100
    assert hidden.sum(dim=1).tolist() == [2] * 200 + [1, 0]
    assert torch.equal(labels[hidden], ids[hidden])
    assert torch.equal(inputs["input_ids"][~hidden], ids[~hidden])
    share = (inputs["input_ids"][hidden] == tokenizer.mask_token_id).float().mean()
    assert 0.7 < share < 0.9
    encoded = task.encode(tokenizer, {"text": [*texts(200), "dog", ""]}, 32)
    assert task.weight(encoded) == hidden.sum()


def test_what_is_measured_is_always_the_same_and_training_is_not(tmp_path: Path) -> None:
    task, model, tokenizer = loaded(tiny_model(tmp_path / "m"))
    batch = task.collate(tokenizer, task.encode(tokenizer, {"text": texts(40)}, 32))
    with torch.inference_mode():
        first = task.outputs(model, batch)
        assert torch.equal(task.outputs(model, batch), first)
        torch.manual_seed(5)
        losses = [float(task.loss(model, batch)) for _ in range(2)]
        torch.manual_seed(5)
        assert [float(task.loss(model, batch)) for _ in range(2)] == losses
    assert losses[0] != losses[1]


def test_the_loss_is_that_of_the_model_itself(tmp_path: Path) -> None:
    task, model, tokenizer = loaded(tiny_model(tmp_path / "m"))
    assert not task.head.apart, "a bert has a layer before its vocabulary"
    batch = task.collate(tokenizer, task.encode(tokenizer, {"text": ["dog", *texts(5)]}, 32))
    torch.manual_seed(1)
    draws = [torch.rand(batch["input_ids"].shape) for _ in range(2)]
    inputs, labels = task._hidden(
        batch, batch["free"], *draws, torch.randint(model.config.vocab_size, batch["input_ids"].shape)
    )
    torch.manual_seed(1)
    with torch.inference_mode():
        assert float(task.loss(model, batch)) == pytest.approx(float(model(**inputs, labels=labels).loss), rel=1e-4)


def test_a_long_text_is_read_in_parts(tmp_path: Path) -> None:
    task, model, tokenizer = loaded(tiny_model(tmp_path / "m"))
    encoded = task.encode(tokenizer, {"text": [" ".join(texts(5)), "dog"]}, 12)
    assert encoded["owner"] == [0] * 5 + [1]
    with torch.inference_mode():
        outputs = task.outputs(model, task.collate(tokenizer, encoded)).numpy()
    merged = task.merge(encoded, outputs)
    assert merged.shape == (2, 2 + 2 * PLACES)
    assert merged[:, 2:].tolist() == outputs[[0, 5], 2:].tolist()
    assert merged[:, 1].tolist() == [10, 1]
    assert merged[0, 0] == pytest.approx(outputs[:5, 0].sum(), rel=1e-5)


def test_the_missing_word(tmp_path: Path) -> None:
    task, model, tokenizer = loaded(tiny_model(tmp_path / "m"))
    asked = ["good [MASK] dog", "sun rain cat dog [MASK]"]
    found = task.answer(model, tokenizer, asked)
    alone = task.answer(model, tokenizer, asked[:1])[0]
    assert (found[0]["text"], found[0]["scores"]) == (alone["text"], pytest.approx(alone["scores"], rel=1e-4))
    with torch.inference_mode():
        batch = tokenizer(asked[0], return_tensors="pt")
        shares = model(**batch).logits[0, 2].softmax(dim=0)
    assert found[0]["text"] == tokenizer.decode([int(shares.argmax())])
    assert found[0]["score"] == pytest.approx(float(shares.max()), rel=1e-4)
    assert next(iter(found[0]["scores"])) == found[0]["text"]
    for odd, count in (("a dog", 0), ("a [MASK] [MASK]", 2)):
        with pytest.raises(DataError, match=f"Row 1 has {count}"):
            task.answer(model, tokenizer, [asked[0], odd])


def test_a_model_without_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError) as caught:
        loaded(tiny_writer(tmp_path / "w"))
    assert caught.value.code == "task.no_masked"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora", "dora"])
def test_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setenv("MODELNOOK_THREADS", "1")
    base = str(tiny_model(tmp_path / "base"))
    rows = [{"text": text} for text in texts(200)]
    run = mn.finetune(base, rows, method=method, name="home", epochs=6, learning_rate=5e-3)
    assert (run.record.task, run.primary_metric, run.state) == ("fill-mask", "perplexity", "finished")
    # Adapters leave the random table as it is that this random model's words are told by.
    assert run.metrics["perplexity"] < (100 if method == "full" else 200), "there are a hundred and more words"
    low, high = run.intervals["perplexity"]
    assert low <= run.metrics["perplexity"] <= high
    assert run.baselines == {}, "a head that is made anew says nothing untrained"
    folder = Path(mn.info("home").path or "")
    saved = load_file(folder / "model.safetensors")
    assert any("transform" in name for name in saved)
    answers = mn.predict("home", ["and are [MASK] at be"])
    assert list(answers.columns) == ["text", "score", "scores"]
    assert mn.evaluate("home").metrics["loss"] == pytest.approx(run.metrics["loss"], rel=1e-2)
    if method == "full":
        assert answers["text"][0] in WORDS[:12]
        more = mn.finetune("local:home", rows, method="lora", name="more", epochs=1)
        assert more.baselines["untrained"]["loss"] == pytest.approx(run.metrics["loss"], rel=1e-2)
        labelled = [{"text": row["text"], "label": row["text"].split()[0]} for row in rows]
        assert mn.finetune("local:home", labelled, name="told", epochs=1).record.task == "text-classification"


@pytest.mark.real
@pytest.mark.slow
def test_real_weights_come_home_to_the_news(minilm: Path, bbc: list[dict[str, str]]) -> None:
    rows = [{"text": row["text"][:300]} for row in bbc[::25]]
    run = mn.finetune(str(minilm), rows, task="fill-mask", epochs=2, max_length=64, learning_rate=5e-4, name="news")
    curve = run.history()["eval_perplexity"].dropna()
    assert curve.iloc[-1] < curve.iloc[0]
    assert math.isfinite(run.metrics["perplexity"])
    assert run.metrics["perplexity"] < 3000, "of thirty thousand tokens"
