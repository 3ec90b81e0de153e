"""Texts of a model's own, where a person gives none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.catalog.test_pip import gguf

from modelnook.domain.errors import DataError
from modelnook.measure.own_texts import own_columns, own_texts
from modelnook.tasks import TASKS

CARD = """---
license: mit
tags: [a, b]
---
# A model of reviews

It tells good hotels from bad ones. It was trained on [reviews](https://example.org/x) of guests.

```python
model.predict("never taken as a text")
```
| table | of |
|---|---|

- The room was clean and quiet!
"""


def made(path: Path, vocabulary: object, card: str | None = None) -> Path:
    path.mkdir(exist_ok=True)
    (path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}), encoding="utf-8")
    if card:
        (path / "README.md").write_text(card, encoding="utf-8")
    return path


def test_the_card_first_then_the_vocabulary(tmp_path: Path) -> None:
    words = {"[PAD]": 0, "good": 1, "room": 2, "##ing": 3, "a1": 4, "bed": 5}
    folder = made(tmp_path / "a", words, CARD)
    texts = own_texts(folder, 50)
    assert texts[:3] == [
        "It tells good hotels from bad ones.",
        "It was trained on reviews of guests.",
        "The room was clean and quiet!",
    ]
    assert len(texts) == 50
    assert {word for text in texts[3:] for word in text.split()} == {"good", "room", "bed"}
    assert own_texts(folder, 50) == texts
    assert len({len(text.split()) for text in texts[3:]}) > 10


@pytest.mark.parametrize(
    ("vocabulary", "expected"),
    [
        ({"Ġgood": 0, "Ġday": 1, "ing": 2, "Ġ1": 3}, {"good", "day"}),
        ([["▁good", -1.0], ["▁day", -2.0], ["ly", -3.0]], {"good", "day"}),
        ([["▁good", -1.0], ["▁day", -2.0], ["天气", -3.0], ["ly", -4.0]], {"good", "day", "天气"}),
        # "café", "天气", a dash and a part of a character, byte by byte.
        ({"ĠcafÃ©": 0, "å¤©æ°Ķ": 1, "ĠâĢĶ": 2, "å¤": 3, "Ã©e": 4}, {"café", "天气"}),
    ],
)
def test_words_are_known_by_their_marks(tmp_path: Path, vocabulary: object, expected: set[str]) -> None:
    texts = own_texts(made(tmp_path / "a", vocabulary), 20)
    assert {word for text in texts for word in text.split()} == expected


def test_the_words_of_a_gguf_file_are_read_from_its_header(tmp_path: Path) -> None:
    letters = "abcdefghij"
    words = [f"word{one}{two}" for one in letters for two in letters]
    tokens = ["<s>", *(f"▁{word}" for word in words), "ing"]
    (tmp_path / "some.gguf").write_bytes(gguf({"tokenizer.ggml.tokens": tokens}, {}))
    drawn = {word for text in own_texts(tmp_path, 100) for word in text.split()}
    assert len(drawn) > 90
    assert drawn <= set(words)
    (tmp_path / "some.gguf").write_bytes(b"GGUF cut off")
    assert own_texts(tmp_path, 100) == []


def test_a_script_without_blanks_is_written_without(tmp_path: Path) -> None:
    texts = own_texts(made(tmp_path / "a", {c: i for i, c in enumerate("房间很干净服务也好")}), 5)
    assert all(" " not in text and len(text) >= 3 for text in texts)


def test_rows_of_each_task(tmp_path: Path) -> None:
    folder = made(tmp_path / "a", {"good": 1, "room": 2, "bed": 3})

    def rows(task: str) -> dict[str, list[object]]:
        return own_columns(TASKS.load(task, light=True)(), folder, 10)

    assert set(rows("text-classification")) == {"text"}
    assert len(rows("text-classification")["text"]) == 10
    found = rows("question-answering")
    assert set(found) == {"question", "context"}
    assert found["question"] != found["context"]
    assert all(isinstance(words, list) for words in rows("token-classification")["tokens"])
    assert set(rows("text-generation")) == set(rows("fill-mask")) == {"text"}
    assert set(rows("sentence-similarity")) == {"text"}
    assert set(rows("text2text-generation")) == {"source"}
    for task in ("image-classification", "table"):
        with pytest.raises(DataError, match="data="):
            rows(task)


def test_a_model_without_a_vocabulary_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="text-classification"):
        own_columns(TASKS.load("text-classification", light=True)(), tmp_path, 10)


def test_a_writer_is_scored_by_tokens_of_which_fewer_texts_hold_enough(tmp_path: Path) -> None:
    folder = made(tmp_path / "a", {"good": 0, "room": 1, "bed": 2})
    counts = {
        task: len(next(iter(own_columns(TASKS.load(task, light=True)(), folder).values())))
        for task in ("text-classification", "text-generation", "fill-mask")
    }
    assert counts == {"text-classification": 400, "text-generation": 100, "fill-mask": 100}
