"""Text classification: the suite, the checks, the label order, the metrics against scikit-learn, loading safely."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelnook as mn
from modelnook.domain.errors import DataError, NotFoundError, UnsupportedError
from modelnook.messages import LANGUAGES, room
from modelnook.tasks.labels import label_name, positive
from modelnook.tasks.pretrained_heavy import save_pretrained
from modelnook.tasks.text_classification import TextClassification
from modelnook.testing.models import tiny_model, tiny_rows
from modelnook.testing.tasks import TaskSuite


class TestTextClassification(TaskSuite):
    name = "text-classification"

    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return tiny_rows(32, labels=("b", "a", "c"))

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_model(tmp_path / "base")


spec = TextClassification()


def check(labels: list[Any], texts: list[Any] | None = None) -> list[str]:
    rows = {"label": labels, "text": texts or [f"text {i}" for i in range(len(labels))]}
    return [w.code for w in spec.check(rows)]


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        (["a", "b", "a"], "task.too_few_rows"),
        (["a"] * 20, "task.one_class"),
        (["a", "b"] * 5 + [float("nan")], "task.missing_label"),
        (["a", "b"] * 5 + [None], "task.missing_label"),
        (["a", "b"] * 5 + ["  "], "task.missing_label"),
        ([f"name {i}" for i in range(50)], "task.too_many_classes"),
    ],
)
def test_what_makes_training_impossible_is_an_error(labels: list[Any], code: str) -> None:
    with pytest.raises(DataError) as caught:
        check(labels)
    assert caught.value.code == code
    assert caught.value.hint


def test_the_first_row_without_a_label_is_named() -> None:
    with pytest.raises(DataError, match=r"^2 of 12 rows have no label .* row 10, counted from 0"):
        check(["a", "b"] * 5 + [math.nan, math.nan])


def test_what_is_only_odd_is_warned_of() -> None:
    assert check(["a", "b"] * 10) == []
    assert check(["a", 1] * 10) == ["task.mixed_labels"]
    assert check(["a", "b"] * 10 + ["c"] * 4) == ["task.rare_class"]
    assert check(["a", "b"] * 10 + ["c"] * 5) == []
    assert check(["a"] * 90 + ["b"] * 10) == ["task.imbalanced"]
    assert check(["a", "b"] * 5, ["x"] * 8 + [None, " "]) == ["task.empty_text"]
    with pytest.raises(DataError, match="texts are empty"):
        check(["a", "b"] * 5, [""] * 10)


def test_labels_are_text_in_natural_order() -> None:
    assert spec.labels({"label": [10, 2, 1, 2]}) == ["1", "2", "10"]
    assert spec.labels({"label": [1.0, 0.0]}) == ["0", "1"]
    assert spec.labels({"label": ["class 10", "class 9"] * 2 + ["x"]}) == ["class 9", "class 10", "x"]
    assert label_name(np.int64(3)) == "3"
    assert [label_name(kind(2**53 + 1)) for kind in (int, np.int64)] == ["9007199254740993"] * 2
    assert label_name(b"spam") == label_name(b" spam") == "spam"
    assert label_name(np.True_) == "True"


def test_the_positive_label_of_two_comes_last() -> None:
    assert spec.labels({"label": ["spam", "ham", "ham"]}) == ["ham", "spam"]
    assert spec.labels({"label": ["fraud", "normal"]}) == ["normal", "fraud"]
    assert spec.labels({"label": ["正面", "负面"]}) == ["负面", "正面"]
    assert spec.labels({"label": ["a", "b", "b"]}) == ["b", "a"]
    assert positive(["POSITIVE", "NEGATIVE"]) == 0


def test_a_label_that_the_model_does_not_know_names_its_row() -> None:
    with pytest.raises(DataError, match=r"Row 1 has the label 'sprot'.*Did you mean 'sport'"):
        spec.truth({"label": ["sport", "sprot"]}, ["news", "sport"])
    with pytest.raises(DataError, match="Known: news, sport"):
        spec.truth({"label": ["sport", "xyz"]}, ["news", "sport"])


@pytest.mark.parametrize(
    ("label", "meant"), [("Posi tive", "positive"), ("postive", "positive"), ("neutral", None), ("positiv", "positive")]
)
def test_only_a_slip_is_taken_for_another_label(label: str, meant: str | None) -> None:
    """As many letters tell "positive" from "negative" as a slip has."""
    with pytest.raises(DataError) as caught:
        TextClassification().truth({"label": [label]}, ["positive", "very good"])
    assert ("Did you mean" in caught.value.hint) == (meant is not None)
    assert "Known: positive, very good" in caught.value.hint
    with pytest.raises(DataError) as caught:
        TextClassification().truth({"label": ["positive"]}, ["negative", "neutral"])
    assert caught.value.code == "task.unseen_label"


@pytest.mark.parametrize("classes", [2, 5])
def test_metrics_agree_with_scikit_learn(classes: int) -> None:
    from sklearn import metrics

    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, 300)
    logits = np.round(rng.normal(size=(300, classes)), 1) + 1.5 * np.eye(classes)[truth]
    guess = logits.argmax(1)
    found = spec.score(truth, logits, [str(i) for i in range(classes)])
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, guess))
    assert found["f1_macro"] == pytest.approx(metrics.f1_score(truth, guess, average="macro"))
    assert found["mcc"] == pytest.approx(metrics.matthews_corrcoef(truth, guess))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert found["loss"] == pytest.approx(metrics.log_loss(truth, shares))
    assert ("f1" in found) == (classes == 2)
    if classes == 2:
        assert found["f1"] == pytest.approx(metrics.f1_score(truth, guess))
        assert found["auc"] == pytest.approx(metrics.roc_auc_score(truth, logits[:, 1] - logits[:, 0]))


def task(labels: tuple[str, ...] = ("a", "b")) -> Any:
    from modelnook.tasks import TASKS

    return TASKS.load("text-classification")(labels)


def test_a_head_for_the_same_labels_is_kept(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = tiny_model(tmp_path / "m", labels=("b", "a"))
    same = task(("a", "b"))
    model, _ = same.load(str(folder))
    assert same.labels == ["b", "a"]
    assert torch.equal(model.classifier.weight, load_file(folder / "model.safetensors")["classifier.weight"])
    other = task(("x", "y", "z"))
    assert other.load(str(folder))[0].config.id2label == {0: "x", 1: "y", 2: "z"}


def test_a_folder_without_config(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"config\.json"):
        task().load(str(tmp_path))


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UnsupportedError) as caught:
        task().load(str(folder))
    assert caught.value.code == "task.pickle"


@pytest.mark.parametrize("kind", ["bert", "own"])
def test_code_that_a_folder_brings_is_not_run(tmp_path: Path, kind: str) -> None:
    folder = tiny_model(tmp_path / "m", ("ham", "spam"))
    ours = {"config.json": {"AutoConfig": "own.Own", "AutoModelForSequenceClassification": "own.Own"}}
    for name, classes in {**ours, "tokenizer_config.json": {"AutoTokenizer": ["own.Own", "own.Own"]}}.items():
        said = json.loads((folder / name).read_text())
        said |= {"auto_map": classes} | ({"model_type": kind} if name in ours else {})
        (folder / name).write_text(json.dumps(said))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: pass\n")
    assert [risk.code for risk in mn.info(str(folder)).risks] == ["remote_code"]
    if kind == "bert":
        assert mn.predict(str(folder), ["free money"])["label"][0] in ("ham", "spam")
        assert mn.finetune(str(folder), tiny_rows(32), dry_run=True).rows
        made = tmp_path / "made"
        model, tokenizer = task().load(str(folder))
        save_pretrained(model, tokenizer, made)
        assert not mn.info(str(made)).risks
        assert not [f.name for f in made.iterdir() if "auto_map" in f.read_text(errors="ignore")]
    else:
        for ask in (lambda: mn.predict(str(folder), ["x"]), lambda: task().load(str(folder))):
            with pytest.raises(UnsupportedError):
                ask()
    assert not (tmp_path / "ran").exists()
    assert not [name for name in sys.modules if "transformers_modules" in name]


def test_an_architecture_without_the_head_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m")
    (folder / "config.json").write_text(json.dumps({"model_type": "vit", "architectures": ["ViTModel"]}))
    with pytest.raises(UnsupportedError, match="ViTModel"):
        task().load(str(folder))
    for config, said in (
        ({"model_type": "never-heard-of"}, "doesn't know the architecture 'never-heard-of'"),
        ({"model_type": "its-own", "auto_map": {"AutoConfig": "configuration.Own"}}, "brings itself"),
        ({"hidden_size": 8}, "can't be read"),
    ):
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(UnsupportedError, match=said):
            task().load(str(folder))


def test_a_long_text_is_read_as_far_as_needed_and_gives_the_same_ids(tmp_path: Path) -> None:
    from modelnook.tasks.text import encode_texts

    tokenizer = task().load(str(tiny_model(tmp_path / "m")))[1]
    texts = ["the dog and the cat " * 400, " " * 5000 + "good dog", "short", "", None, "z" * 3000]
    plain = [tokenizer(t or "", truncation=True, max_length=12)["input_ids"] for t in texts]
    assert encode_texts(tokenizer, texts, 12) == plain

    class Louder(type(tokenizer)):  # type: ignore[misc]
        """Does what its backend doesn't know of."""

        def __call__(self, text: Any, *args: Any, **more: Any) -> Any:
            return super().__call__([f"good {each}" for each in text], *args, **more)

    louder = Louder.from_pretrained(str(tmp_path / "m"))
    assert encode_texts(louder, ["the dog"] * 9, 12) == encode_texts(tokenizer, ["good the dog"] * 9, 12)


def test_every_message_is_there_in_both_languages() -> None:
    for name in ("task", "train"):
        first, second = (room(lang, name) for lang in LANGUAGES)
        assert set(first) == set(second)
        assert all(isinstance(first[k], list) == isinstance(second[k], list) for k in first)


def test_a_list_is_not_one_label() -> None:
    rows = {"text": ["a"] * 9, "label": ["x", ["a", "b"], *"xyxyxyx"]}
    with pytest.raises(DataError, match=r"label of row 1 is a list") as caught:
        TextClassification().check(rows)
    assert "multi-label-classification" in caught.value.hint
