"""What predict gives is a DataFrame of the contract's columns; what a person sees has the inputs beside it."""

from __future__ import annotations

import pickle
from typing import Any

import pandas as pd
import pytest

from modelnook.api.answers import Answers

ROWS = ["I hate <b>this</b> film, " + "it is long " * 20, "love it"]
SCORES: list[dict[str, Any]] = [
    {"label": "neg", "score": 0.98765, "scores": {"neg": 0.98765, "pos": 0.01, "meh": 0.001, "odd": 0.0002}},
    {"label": "pos", "score": 0.5, "scores": {"neg": 0.2, "pos": 0.5}},
]


def made(index: Any = None) -> Answers:
    return Answers.of(SCORES, ROWS, index, None)


def test_python_gets_the_columns_alone() -> None:
    frame = made()
    assert list(frame.columns) == ["label", "score", "scores"]
    assert frame["score"][0] == 0.98765
    assert frame["scores"][1] == {"neg": 0.2, "pos": 0.5}
    assert isinstance(frame, pd.DataFrame)
    assert type(frame[frame["score"] > 0.6]) is pd.DataFrame
    kept = pickle.loads(pickle.dumps(frame))
    assert type(kept) is pd.DataFrame
    assert kept.equals(pd.DataFrame(frame))
    assert pd.concat([frame, frame]).shape == (4, 3)


def test_a_person_sees_the_input_and_three_digits() -> None:
    for said in (repr(made()), made()._repr_html_(), made(index=["a", "b"]).text()):
        assert "love it" in said
        assert "0.988" in said
        assert "neg 0.988, pos 0.010, meh 0.001 …" in said
        assert "0.98765" not in said
        assert "{" not in said
    assert "<b>this" not in made()._repr_html_()
    assert max(map(len, made().text().splitlines())) < 140


def test_inputs_never_stand_beside_another_rows_answer() -> None:
    frame = made()
    frame.index = frame.index[::-1]
    assert "love it" not in repr(frame)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_many_rows_say_how_many_are_left(lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", lang)
    many = Answers.of(SCORES * 600, ROWS * 600, None, None)
    assert "1,140" in repr(many)
    assert "1,140" in many._repr_html_()
    assert len(many.text().splitlines()) == 1201
    assert Answers.of([], [], None, ["label"]).columns.tolist() == ["label"]
    assert repr(Answers.of([], [], None, ["label"]))
