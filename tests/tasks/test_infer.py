"""Which task a table's columns tell."""

from __future__ import annotations

import pytest

from modelnook.tasks.infer import infer

ALL = {
    "question-answering", "token-classification", "text-generation", "image-classification", "audio-classification",
    "automatic-speech-recognition", "sentence-similarity", "text-classification", "text2text-generation", "fill-mask",
    "table", "text-regression", "multi-label-classification",
}  # fmt: skip


@pytest.mark.parametrize(
    ("roles", "kind", "task"),
    [
        ("text label", "classes", "text-classification"),
        ("text label", "lists", "multi-label-classification"),
        ("text label", "numbers", "text-regression"),
        ("text text_pair label", "classes", "text-classification"),
        ("text text_pair label", "numbers", "sentence-similarity"),
        ("text text_pair", "classes", "sentence-similarity"),
        ("text label source target", "classes", "text-classification"),
        ("source target", "classes", "text2text-generation"),
        ("tokens ner_tags label", "lists", "token-classification"),
        ("question context answers text", "classes", "question-answering"),
        ("prompt completion", "classes", "text-generation"),
        ("messages", "classes", "text-generation"),
        ("image label", "classes", "image-classification"),
        ("audio label", "classes", "audio-classification"),
        ("audio text", "classes", "automatic-speech-recognition"),
        ("anchor positive negative", "classes", "sentence-similarity"),
        ("text", "classes", "fill-mask"),
        ("label", "classes", "table"),
        ("", "classes", "text-classification"),
        ("tokens", "classes", "token-classification"),
        ("question answers", "classes", "question-answering"),
        ("anchor", "classes", "sentence-similarity"),
        ("prompt", "classes", "text-generation"),
        ("source", "classes", "text2text-generation"),
        ("image text", "classes", "image-classification"),
    ],
)
def test_columns_tell_the_task(roles: str, kind: str, task: str) -> None:
    assert infer(set(roles.split()).__contains__, lambda: kind, ALL) == task


def test_texts_alone_go_on_writing_on_a_model_that_writes() -> None:
    assert infer({"text"}.__contains__, lambda: "classes", ALL, causal=True) == "text-generation"


def test_only_tasks_that_there_are() -> None:
    assert infer({"tokens", "ner_tags", "text", "label"}.__contains__, lambda: "classes", {"text-classification"}) == (
        "text-classification"
    )
