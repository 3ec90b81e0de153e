"""Token classification: the suite, checks, tags of every scheme, metrics against seqeval, windows, answers."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelnook.domain.errors import DataError, UnsupportedError
from modelnook.measure.baselines import baselines
from modelnook.measure.score import paired_drop, score
from modelnook.tasks import TASKS
from modelnook.tasks.token_classification import TokenClassification
from modelnook.tasks.words import scheme, spans, words_of
from modelnook.testing.models import tiny_model, tiny_tagged
from modelnook.testing.tasks import TaskSuite

spec = TokenClassification()
IOB = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


class TestTokenClassification(TaskSuite):
    name = "token-classification"

    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return tiny_tagged(32)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_model(tmp_path / "base")


def table(**changed: Any) -> dict[str, list[Any]]:
    rows = {"tokens": [["Ann", "left"]] * 8, "ner_tags": [["B-PER", "O"]] * 8}
    for role, (row, cell) in changed.items():
        rows[role] = [*rows[role][:row], cell, *rows[role][row + 1 :]]
    return rows


@pytest.mark.parametrize(
    ("rows", "code", "says"),
    [
        (table(tokens=(3, "Ann left")), "task.not_listed", "Row 3 of tokens holds a str (Ann left)"),
        (table(ner_tags=(5, "O O")), "task.not_listed", "Row 5 of ner_tags"),
        (table(ner_tags=(5, 7.5)), "task.not_listed", "float"),
        (table(ner_tags=(2, ["O"])), "task.words_and_tags", "Row 2 has 2 words and 1 tag."),
        (table(ner_tags=(2, None)), "task.words_and_tags", "Row 2 has 2 words and 0 tags"),
        (table(ner_tags=(6, ["O", None])), "task.missing_tag", "Row 6 has no tag for word 1 ('left')"),
        (table(ner_tags=(6, ["O", float("nan")])), "task.missing_tag", "Row 6"),
        ({"tokens": [[]] * 9, "ner_tags": [[]] * 9}, "task.no_words", "9 rows"),
        ({"tokens": [["a", "b"]] * 9, "ner_tags": [["O", "O"]] * 9}, "task.one_tag", "18 words"),
        (
            {"tokens": [["O"]] * 30, "ner_tags": [[f"word{i}"] for i in range(30)]},
            "task.too_many_tags",
            "30 different",
        ),
        ({"tokens": [["a"]] * 3, "ner_tags": [["O"]] * 3}, "task.too_few_rows", "3 rows"),
    ],
)
def test_bad_rows_are_named(rows: dict[str, list[Any]], code: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        spec.check(rows)
    assert caught.value.code == code
    assert says in str(caught.value)
    assert caught.value.hint


def test_what_is_only_odd_is_warned_of() -> None:
    def codes(rows: dict[str, list[Any]]) -> list[str]:
        return [w.code for w in spec.check(rows)]

    assert codes(table()) == []
    empty = table()
    assert codes({"tokens": [*empty["tokens"], []], "ner_tags": [*empty["ner_tags"], None]}) == ["task.empty_words"]
    assert codes(table(ner_tags=(3, ["B-LOC", "O"]))) == ["task.rare_tag"]
    numbers = {"tokens": [["a", "b"]] * 8, "ner_tags": [[1, 0]] * 8}
    assert codes(numbers) == ["task.number_tags"]
    assert codes({**numbers, "ner_tags": [*numbers["ner_tags"][:7], ["O", "O"]]}) == ["task.mixed_labels"]


def test_tags_are_in_the_order_of_their_types() -> None:
    tags = [["I-PER", "O", "B-PER", "B-LOC", "I-LOC"]]
    assert spec.labels({"ner_tags": tags}) == IOB
    assert spec.labels({"ner_tags": [["VERB", "NOUN"]]}) == ["NOUN", "VERB"]
    assert spec.labels({"ner_tags": [[2, 10, 0]]}) == ["0", "10", "2"]


def test_an_unknown_tag_names_its_row() -> None:
    with pytest.raises(DataError, match=r"Row 1 has the label 'B-PRE'.*Did you mean 'B-PER'"):
        spec.truth({"ner_tags": [["O"], ["O", "B-PRE"]]}, IOB)
    with pytest.raises(DataError, match=r"Row 0 has 2 words and 1 tag\."):
        spec.truth({"tokens": [["a", "b"]], "ner_tags": [["O"]]}, IOB)


def entities(tags: list[str]) -> list[tuple[str, int, int]]:
    how = scheme(names := sorted(set(tags)))
    found = spans([np.array([names.index(tag) for tag in tags])], how)
    return [
        (how.names[kind], first, last)
        for kind, first, last in zip(found.type.tolist(), found.first.tolist(), found.last.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-PER I-PER O B-PER B-PER", [("PER", 0, 1), ("PER", 3, 3), ("PER", 4, 4)]),
        ("I-PER I-LOC O", [("PER", 0, 0), ("LOC", 1, 1)]),
        ("S-PER B-LOC I-LOC E-LOC O E-LOC", [("PER", 0, 0), ("LOC", 1, 3), ("LOC", 5, 5)]),
        ("B-PER M-PER E-PER S-PER", [("PER", 0, 2), ("PER", 3, 3)]),
        ("B-PER L-PER U-PER U-LOC", [("PER", 0, 1), ("PER", 2, 2), ("LOC", 3, 3)]),
        ("PER PER O LOC PER", [("PER", 0, 1), ("LOC", 3, 3), ("PER", 4, 4)]),
        ("NOUN NOUN VERB", [("NOUN", 0, 0), ("NOUN", 1, 1), ("VERB", 2, 2)]),
        ("B-TIME-OF-DAY I-TIME-OF-DAY", [("TIME-OF-DAY", 0, 1)]),
    ],
)
def test_every_scheme_of_tags_makes_entities(tags: str, expected: list[tuple[str, int, int]]) -> None:
    assert entities(tags.split()) == expected


def drawn(labels: list[str], rows: int = 60, seed: int = 0) -> tuple[list[Any], list[Any], list[list[str]], Any]:
    """Random tags and logits that are right for most of the words: ``(truth, outputs, true names, said names)``."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 12, rows)
    truth = [rng.integers(0, len(labels), n) for n in sizes]
    outputs = [rng.normal(size=(len(t), len(labels))) + 2 * np.eye(len(labels))[t] for t in truth]
    true = [[labels[i] for i in row] for row in truth]
    said = [[labels[i] for i in row.argmax(1)] if len(row) else [] for row in outputs]
    return truth, outputs, true, said


@pytest.mark.parametrize(
    "labels", [IOB, ["O", "B-LOC", "I-LOC", "E-LOC", "S-LOC", "B-PER", "E-PER"], ["O", "I-A", "I-B"]], ids=len
)
def test_metrics_are_those_of_seqeval(labels: list[str]) -> None:
    from seqeval import metrics

    truth, outputs, true, said = drawn(labels)
    found = spec.score(truth, outputs, labels)
    assert found["f1"] == pytest.approx(metrics.f1_score(true, said))
    assert found["precision"] == pytest.approx(metrics.precision_score(true, said))
    assert found["recall"] == pytest.approx(metrics.recall_score(true, said))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(true, said))
    assert 0 < found["f1"] < 1
    report = metrics.classification_report(true, said, output_dict=True)
    table = spec.tables(truth, outputs, labels)["per_class"]
    assert len(table.rows) == len(report) - 3
    for name, precision, recall, f1, rows in table.rows:
        assert report[name]["precision"] == pytest.approx(precision)
        assert report[name]["recall"] == pytest.approx(recall)
        assert report[name]["f1-score"] == pytest.approx(f1)
        assert report[name]["support"] == rows


def test_the_loss_is_the_mean_over_words() -> None:
    import torch

    truth, outputs, _, _ = drawn(IOB)
    logits, tags = torch.tensor(np.concatenate(outputs)), torch.tensor(np.concatenate(truth))
    expected = torch.nn.functional.cross_entropy(logits, tags).item()
    assert spec.score(truth, outputs, IOB)["loss"] == pytest.approx(expected)


def test_tags_without_marks_score_runs_and_parts_of_speech_score_words() -> None:
    from seqeval import metrics

    names = ["O", "LOC", "PER"]
    truth, outputs, true, said = drawn(names)
    marked = [[[t if t == "O" else f"I-{t}" for t in row] for row in part] for part in (true, said)]
    assert spec.score(truth, outputs, names)["f1"] == pytest.approx(metrics.f1_score(*marked))
    speech = spec.score(truth, outputs, ["ADJ", "NOUN", "VERB"])
    assert speech["f1"] == pytest.approx(speech["accuracy"])


def test_intervals_follow_from_sums_and_hold_the_value() -> None:
    truth, outputs, _, _ = drawn(IOB, rows=200)
    metrics, intervals = score(spec, truth, outputs, IOB)
    assert set(intervals) == set(spec.metrics)
    for name, (low, high) in intervals.items():
        assert low < metrics[name] < high
    worse = [np.roll(row, 1, axis=1) if i % 3 == 0 else row for i, row in enumerate(outputs)]
    drop, (low, high) = paired_drop(spec, "f1", truth, outputs, worse, IOB)
    assert 0 < low < drop < high
    assert spec.agree(outputs, outputs).all()
    assert not spec.agree(outputs, worse).all()


def test_no_words_at_all_is_no_crash() -> None:
    truth, outputs = [np.zeros(0, dtype=np.int64)] * 3, [np.zeros((0, 5))] * 3
    assert spec.score(truth, outputs, IOB)["f1"] == 0
    assert spec.answers(outputs, IOB, ["", "", None]) == [{"entities": []}] * 3
    assert spec.answers([], IOB, []) == []


def test_entities_stand_where_they_are_said_to() -> None:
    text = "Dr. Ann  Lee left 北京市, finally."
    words = [text[a:b] for a, b in words_of(text)[1]]
    assert words == ["Dr", ".", "Ann", "Lee", "left", "北", "京", "市", ",", "finally", "."]
    tags = ["O", "O", "B-PER", "I-PER", "O", "B-LOC", "I-LOC", "I-LOC", "O", "O", "O"]
    logits = 5 * np.eye(len(IOB))[[IOB.index(tag) for tag in tags]]
    (found,) = spec.answers([logits], IOB, [text])
    assert [(e["label"], e["text"]) for e in found["entities"]] == [("PER", "Ann  Lee"), ("LOC", "北京市")]
    assert all(text[e["start"] : e["end"]] == e["text"] for e in found["entities"])
    assert found["entities"][0]["score"] == pytest.approx(np.exp(5) / (np.exp(5) + 4))
    (given,) = spec.answers([logits], IOB, [words])
    assert [e["text"] for e in given["entities"]] == ["Ann Lee", "北京市"]


def loaded(folder: Path, labels: list[str] = IOB) -> tuple[Any, Any, Any]:
    task = TASKS.load("token-classification")(labels)
    return (task, *task.load(str(folder)))


def test_only_the_first_sub_word_carries_the_tag(tmp_path: Path) -> None:
    task, _, tokenizer = loaded(tiny_model(tmp_path / "m"))
    rows = {"tokens": [["Zed", "the", "cat"], []], "ner_tags": [["B-PER", "O", "I-LOC"], []]}
    encoded = task.encode(tokenizer, rows, 32)
    pieces = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    assert pieces == ["[CLS]", "z", "##e", "##d", "the", "cat", "[SEP]"]
    assert encoded["words"][0].tolist() == [-1, 0, -1, -1, 1, 2, -1]
    assert encoded["labels"][0].tolist() == [-100, 3, -100, -100, 0, 2, -100]
    assert encoded["labels"][1].tolist() == [-100, -100]
    assert (task.weight(encoded), task.lengths(encoded)) == (3.0, [7, 2])


def test_long_rows_are_read_in_windows_and_lose_no_word(tmp_path: Path) -> None:
    from modelnook.training.device import pick_device
    from modelnook.training.evaluation import outputs_of

    task, model, tokenizer = loaded(tiny_model(tmp_path / "m"))
    rng = random.Random(1)
    words = [[rng.choice(["the", "Zed", "cat", "x", "\u200b"]) for _ in range(n)] for n in (40, 3, 0, 90)]
    rows = {"tokens": words, "ner_tags": [[rng.choice(IOB) for _ in row] for row in words]}
    encoded = task.encode(tokenizer, rows, 16)
    assert max(map(len, encoded["input_ids"])) == 16
    assert len(encoded["owner"]) > 8
    for row, tags in enumerate(rows["ner_tags"]):
        spoken = [
            (int(word), int(label))
            for owner, numbers, labels in zip(encoded["owner"], encoded["words"], encoded["labels"], strict=True)
            for word, label in zip(numbers, labels, strict=True)
            if owner == row and word >= 0
        ]
        readable = [i for i, word in enumerate(words[row]) if word != "\u200b"]
        assert spoken == [(i, IOB.index(tags[i])) for i in readable], "each word once, in order, with its own tag"
    outputs = outputs_of(model, task, tokenizer, encoded, device=pick_device("cpu"))
    assert [len(row) for row in outputs] == [40, 3, 0, 90]
    unread = words[3].index("\u200b")
    assert IOB[outputs[3][unread].argmax()] == "O"
    whole = task.encode(tokenizer, {"tokens": [words[1]]}, 16)
    alone = outputs_of(model, task, tokenizer, whole, device=pick_device("cpu"))
    np.testing.assert_allclose(alone[0], outputs[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["bytes", "metaspace"])
def test_tokenizers_that_count_blanks_are_aligned(tmp_path: Path, kind: str) -> None:
    """Byte-level BPE (RoBERTa, GPT-2) and SentencePiece (XLM-R) count the blank before a word in one way or another."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    texts = ["Ann lives in Rome and knows Zed", "the cat sat on the mat"] * 5
    if kind == "bytes":
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        alphabet = []
    made.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]")
    task = TASKS.load("token-classification")(["O", "X"])
    encoded = task.encode(tokenizer, {"tokens": [["Ann", "knows", "Rome", "cat"], ["cat"]]}, 32)
    assert [w for w in encoded["words"][0].tolist() if w >= 0] == [0, 1, 2, 3]
    pieces = made.encode("Ann knows Rome cat").tokens
    firsts = [piece for piece, word in zip(pieces, encoded["words"][0], strict=True) if word >= 0]
    assert [piece.strip("Ġ▁")[:1] for piece in firsts[:3]] == ["A", "k", "R"]


def test_a_model_without_such_a_head_says_so(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m")
    (folder / "config.json").write_text('{"model_type": "vit", "architectures": ["ViTModel"]}')
    with pytest.raises(UnsupportedError) as caught:
        loaded(folder)
    assert "ViTModel" in str(caught.value)
    assert caught.value.hint


def test_baselines_know_the_words_of_training() -> None:
    train = {"tokens": [["Ann", "left", "Rome"]] * 9, "ner_tags": [["B-PER", "O", "B-LOC"]] * 9}
    checks = {"tokens": [["Ann", "saw", "Rome"], []], "ner_tags": [["B-PER", "O", "O"], []]}
    found = baselines(spec, train, checks, ["O", "B-LOC", "B-PER"])
    assert found["lookup"]["f1"] == pytest.approx(2 / 3)
    assert found["majority"]["f1"] == 0
    assert set(baselines(spec, None, checks, ["O", "B-LOC", "B-PER"])) == {"majority"}


def test_a_word_has_one_tag() -> None:
    with pytest.raises(DataError, match=r"list as the tag of word 1 \('b'\)"):
        TokenClassification().labels({"tokens": [["a", "b"]], "ner_tags": [["O", ["O", "B-X"]]]})
