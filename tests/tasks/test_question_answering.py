"""Question answering: the suite, forms of answers, checks, SQuAD's metrics, windows, the likeliest stretch."""

from __future__ import annotations

import json
import math
import re
import string
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelnook.domain.errors import DataError, UnsupportedError, UsageError
from modelnook.measure.baselines import baselines
from modelnook.measure.score import score
from modelnook.tasks import TASKS
from modelnook.tasks.answers import answers_of, overlap, place, sentences, terms
from modelnook.tasks.question_answering import QuestionAnswering
from modelnook.testing.models import tiny_asked, tiny_model
from modelnook.testing.tasks import TaskSuite

spec = QuestionAnswering()


class TestQuestionAnswering(TaskSuite):
    name = "question-answering"

    @pytest.fixture
    def rows(self) -> dict[str, list[Any]]:
        return tiny_asked(32)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tiny_model(tmp_path / "base")


def table(**changed: Any) -> dict[str, list[Any]]:
    rows = {"question": ["Who left?"] * 8, "context": ["Ann left Rome."] * 8, "answers": [["Ann"]] * 8}
    for role, (row, cell) in changed.items():
        rows[role] = [*rows[role][:row], cell, *rows[role][row + 1 :]]
    return rows


@pytest.mark.parametrize(
    ("rows", "code", "says"),
    [
        (table(answers=(3, [])), "task.no_answer", "Row 3"),
        (table(answers=(3, None)), "task.no_answer", "Row 3"),
        (table(answers=(3, {"text": [], "answer_start": []})), "task.no_answer", "Row 3"),
        (table(answers=(4, 7)), "task.not_answers", "Row 4 of answers holds a int"),
        (table(answers=(5, ["Bob"])), "task.answer_not_there", "'Bob' of row 5"),
        (table(context=(6, "")), "task.answer_not_there", "'Ann' of row 6"),
        (table(context=(6, None)), "task.answer_not_there", "row 6"),
        ({**table(), "question": [" "] * 8}, "task.no_questions", "8 questions"),
        ({role: values[:3] for role, values in table().items()}, "task.too_few_rows", "3 rows"),
    ],
)
def test_bad_rows_are_named(rows: dict[str, list[Any]], code: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        spec.check(rows)
    assert caught.value.code == code
    assert says in str(caught.value)
    assert caught.value.hint


def test_what_is_only_odd_is_warned_of() -> None:
    assert spec.check(table()) == []
    assert [w.code for w in spec.check(table(question=(2, None)))] == ["task.empty_question"]
    twice = {**table(), "context": ["Ann and Ann left."] * 8}
    assert [w.code for w in spec.check(twice)] == ["task.answer_twice"]
    assert spec.check({**twice, "answers": [{"text": ["Ann"], "answer_start": [8]}] * 8}) == []


@pytest.mark.parametrize(
    "cell",
    [
        {"text": ["Rome"], "answer_start": [9]},
        {"text": "Rome", "answer_start": 9},
        [{"text": "Rome", "answer_start": 9}],
        {"text": [" Rome "], "answer_start": [8]},
        {"text": ["Rome"], "answer_start": [10]},
        "Rome",
        ["rome"],
    ],
    ids=str,
)
def test_every_form_of_an_answer_is_placed(cell: Any) -> None:
    assert place("Ann left Rome.", answers_of(cell)[0]) == (9, 13)


@pytest.mark.parametrize("start", [None, math.nan, math.inf, "", " ", "nan", 9.5, "here", True, [9], {}], ids=str)
def test_a_place_that_is_no_whole_number_is_not_given(start: Any) -> None:
    for cell in ({"text": "Rome", "answer_start": start}, {"text": ["Rome"], "answer_start": [start]}):
        assert answers_of(cell) == [("Rome", None)]


@pytest.mark.parametrize("start", [9, 9.0, "9", np.int64(9), np.float32(9)], ids=repr)
def test_a_place_may_be_written_in_any_way(start: Any) -> None:
    assert answers_of({"text": ["Rome"], "answer_start": [start]}) == [("Rome", 9)]


def test_a_place_that_is_given_settles_it() -> None:
    assert place("Ann saw Ann", ("Ann", 8)) == (8, 11)
    assert place("Ann saw Ann", ("Ann", None)) == (0, 3)


def official(said: str, known: str) -> tuple[float, float]:
    """F1 and exact match as SQuAD's evaluate-v1.1.py defines them."""

    def normal(text: str) -> list[str]:
        text = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split()).split()

    one, two = normal(said), normal(known)
    same = sum((Counter(one) & Counter(two)).values())
    if not same:
        return 0.0, float(one == two)
    precision, recall = same / len(one), same / len(two)
    return 2 * precision * recall / (precision + recall), float(one == two)


def test_metrics_are_those_of_squad() -> None:
    pairs = [
        ("the Eiffel Tower", "Eiffel tower!"),
        ("in Rome, Italy", "Rome"),
        ("1,000", "1000"),
        ("a cat", "the cat sat"),
        ("nothing", "something"),
        ("$5 an hour", "5 an hour"),
        ("theatre", "atre"),
    ]
    for said, known in pairs:
        assert overlap(said, known) == pytest.approx(official(said, known)), said
    assert terms("《红楼梦》，1791年") == ["红", "楼", "梦", "1791", "年"]
    assert overlap("红楼", "红楼梦")[0] == pytest.approx(0.8)


def test_the_best_of_several_answers_counts() -> None:
    columns = {**table(), "answers": [["left Rome", "Ann"]] * 8}
    truth = spec.truth(columns, [])
    outputs = np.array([[0, 3, 0.9]] * 4 + [[4, 8, 0.5]] * 4)
    metrics, intervals = score(spec, truth, outputs, [])
    assert metrics == pytest.approx({"f1": (4 + 4 * 2 / 3) / 8, "exact_match": 0.5})
    assert intervals["exact_match"][0] < 0.5 < intervals["exact_match"][1]
    assert spec.agree(outputs, outputs[::-1]).sum() == 0
    answers = spec.answers(outputs[:1], [], spec.as_rows(columns)[:1])
    assert answers == [{"answer": "Ann", "start": 0, "end": 3, "score": 0.9}]


def loaded(folder: Path) -> tuple[Any, Any, Any]:
    task = TASKS.load("question-answering")()
    return (task, *task.load(str(folder)))


def test_labels_are_the_answers_tokens(tmp_path: Path) -> None:
    task, _, tokenizer = loaded(tiny_model(tmp_path / "m"))
    rows = {"question": ["who will?"], "context": ["the dog and the zed cat will win"], "answers": ["zed cat"]}
    encoded = task.encode(tokenizer, rows, 32)
    (first, last), ids = encoded["labels"][0], encoded["input_ids"][0]
    assert tokenizer.convert_ids_to_tokens(ids[first : last + 1]) == ["z", "##e", "##d", "cat"]
    context = encoded["places"][0][:, 0] >= 0
    pieces = tokenizer.convert_ids_to_tokens(np.array(ids)[context])
    assert " ".join(pieces).replace(" ##", "") == "the dog and the zed cat will win"
    if "token_type_ids" in encoded:
        assert np.array(encoded["token_type_ids"][0])[context].all()


def test_windows_hold_each_answer_whole_or_point_at_the_first_token(tmp_path: Path) -> None:
    task, _, tokenizer = loaded(tiny_model(tmp_path / "m"))
    words = ["sun", "rain", "today", "you", "we"] * 12
    context = " ".join([*words[:30], "money prize", *words[30:]])
    rows = {"question": ["what?", "the " * 100], "context": [context] * 2, "answers": ["money prize"] * 2}
    encoded = task.encode(tokenizer, rows, 16)
    assert max(map(len, encoded["input_ids"])) == 16
    for row in range(2):
        said = []
        seen = np.zeros(len(context), dtype=bool)
        for owner, places, (first, last) in zip(encoded["owner"], encoded["places"], encoded["labels"], strict=True):
            if owner == row:
                for start, end in places[places[:, 0] >= 0]:
                    seen[start:end] = True
                if first:
                    said.append(context[places[first, 0] : places[last, 1]])
                else:
                    assert last == 0
        assert said
        assert set(said) == {"money prize"}
        assert all(seen[i] for i, letter in enumerate(context) if letter != " "), "every word is in some window"


def test_the_likeliest_stretch_over_windows_wins(tmp_path: Path) -> None:
    import torch

    task, _, tokenizer = loaded(tiny_model(tmp_path / "m"))
    context = " ".join(["sun", "rain", "today", "you"] * 10)
    encoded = task.encode(tokenizer, {"question": ["what?", "and?"], "context": [context, ""]}, 16)
    batch = task.collate(tokenizer, encoded)
    windows = len(encoded["owner"])
    assert encoded["owner"][-1] == 1
    generator = torch.Generator().manual_seed(3)
    starts, ends = torch.randn((2, windows, batch["input_ids"].shape[1]), generator=generator)
    starts[:, 0] = ends[:, 0] = 50.0  # [CLS] is no answer, however sure the model is of it

    class Fixed:
        def __call__(self, **inputs: Any) -> Any:
            from types import SimpleNamespace

            return SimpleNamespace(start_logits=starts, end_logits=ends)

    outputs = task.outputs(Fixed(), batch).numpy()
    (start, end, share), nothing = task.merge(encoded, outputs)
    best: tuple[float, Any] = (-np.inf, None)
    tops: list[list[float]] = [[], []]
    for k, (owner, places) in enumerate(zip(encoded["owner"], encoded["places"], strict=True)):
        tokens = [i for i in range(len(places)) if owner == 0 and places[i, 0] >= 0]
        tops[0] += [float(starts[k, i]) for i in tokens]
        tops[1] += [float(ends[k, i]) for i in tokens]
        pairs = [
            (float(starts[k, i] + ends[k, j]), (places[i, 0], places[j, 1])) for i in tokens for j in tokens if i <= j
        ]
        best = max([best, *pairs], key=lambda pair: pair[0])
    assert (start, end) == best[1]
    total = sum(np.log(np.exp(values).sum()) for values in tops)
    assert share == pytest.approx(np.exp(best[0] - total), rel=1e-4)
    assert nothing.tolist() == [0, 0, 0]
    assert spec.answers([nothing], [], [{"question": "and?", "context": None}])[0]["answer"] == ""


def test_an_answer_is_not_longer_than_its_limit(tmp_path: Path) -> None:
    import torch

    from modelnook.tasks.question_answering_heavy import LONGEST

    task, _, _ = loaded(tiny_model(tmp_path / "m"))
    width = LONGEST + 20
    starts, ends = torch.zeros((1, width)), torch.zeros((1, width))
    starts[0, 0], ends[0, -1] = 9.0, 9.0

    def fixed(**inputs: Any) -> Any:
        from types import SimpleNamespace

        return SimpleNamespace(start_logits=starts, end_logits=ends)

    batch = {"input_ids": torch.zeros((1, width)), "context": torch.ones((1, width), dtype=torch.bool)}
    first, last = task.outputs(fixed, batch)[0, :2].tolist()
    assert last - first < LONGEST


def test_a_model_without_such_a_head_says_so(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m")
    (folder / "config.json").write_text('{"model_type": "vit", "architectures": ["ViTModel"]}')
    with pytest.raises(UnsupportedError) as caught:
        loaded(folder)
    assert "question-answering" in str(caught.value)
    assert caught.value.hint


def test_sentences_and_the_baseline_of_shared_words() -> None:
    text = "Ann left Rome in 1999. Bob, her brother, lives in Oslo now. Nobody knows why."
    assert [text[a:b] for a, b in sentences(text)] == [
        "Ann left Rome in 1999.",
        "Bob, her brother, lives in Oslo now.",
        "Nobody knows why.",
    ]
    rows = {"question": ["In which year left Ann?"], "context": [text], "answers": ["Rome"]}
    found = baselines(spec, None, rows, [])
    assert found["lexical"] == pytest.approx({"f1": 1.0, "exact_match": 1.0})
    whole = {**rows, "answers": ["Ann left Rome in 1999."]}
    assert baselines(spec, whole, whole, [])["lexical"]["exact_match"] == 1.0


@pytest.mark.real
def test_real_chinese_answers_are_placed_and_found_again(shared_data: Path, tmp_path: Path) -> None:
    """CMRC 2018: every answer's tokens, read back, are the answer."""
    said = json.loads((shared_data / "cmrc2018" / "cmrc2018_trial.json").read_text(encoding="utf-8"))["data"]
    asked = [(p["context"], q) for a in said for p in a["paragraphs"] for q in p["qas"]][:300]
    columns = {
        "question": [q["question"] for _, q in asked],
        "context": [context for context, _ in asked],
        "answers": [q["answers"] for _, q in asked],
    }
    spec.check(columns)
    letters = sorted({letter for row in columns["context"] for letter in row.lower() if not letter.isspace()})
    task, _, tokenizer = loaded(tiny_model(tmp_path / "m", words=letters))
    encoded = task.encode(tokenizer, columns, 256)
    outputs = np.zeros((len(encoded["owner"]), 5))
    labels = np.array(encoded["labels"])
    outputs[:, :2], outputs[:, 2] = labels, np.where(labels[:, 0] > 0, 0.0, -9.0)
    found = task.merge(encoded, outputs)
    metrics = spec.score(spec.truth(columns, []), found, [])
    assert metrics["exact_match"] > 0.97, "answers longer than a window aside"
    assert baselines(spec, columns, columns, [])["lexical"]["f1"] > 0.3


def test_a_length_without_room_is_refused_with_the_least(tmp_path: Path) -> None:
    task, _, tokenizer = loaded(tiny_model(tmp_path / "m"))
    rows = {"question": ["who left"], "context": ["dog cat sun"]}
    with pytest.raises(UsageError, match="at least 5"):
        task.encode(tokenizer, rows, 4)
    assert task.encode(tokenizer, rows, 5)["input_ids"]
