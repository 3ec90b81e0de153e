"""A bare name that two sources have: what answers says which it is, and how the other one is had."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.catalog.team import parcel

import modelnook as mn
from modelnook import api, cards
from modelnook.catalog.folder import describe
from modelnook.catalog.search import source
from modelnook.store import Store
from modelnook.testing.models import tiny_model

NOTE = "Found in local; also in team: write team:spam for that one."


@pytest.mark.slow
def test_load_and_predict_say_which_one_it_is(tmp_path: Path) -> None:
    mine = tiny_model(tmp_path / "mine", ["ham", "spam"])
    Store().models.add("spam", mine, describe(mine, ref="", id="spam", source="local"))
    model = mn.load("spam")
    assert (model.note, NOTE in cards.text(model)) == ("", False)
    (tmp_path / "mnt").mkdir()
    api.add_source("team", str(tmp_path / "mnt"), kind="folder")
    source("team").publish("spam", parcel(tmp_path / "theirs"), lambda event: None)
    model = mn.load("spam")
    assert model.note == NOTE
    assert NOTE in cards.text(model)
    assert NOTE in cards.html(model)
    answers = mn.predict("spam", ["a text", "another"])
    assert repr(answers).splitlines()[0] == NOTE
    assert f"<p>{NOTE}</p>" in answers._repr_html_()
    assert list(answers.columns) == ["label", "score", "scores"]
    assert NOTE not in answers.to_json()
    for said in (mn.predict("local:spam", ["a text"]), model.predict(["a text"])):
        assert "Found in" not in repr(said)
    assert mn.load("local:spam").note == ""
