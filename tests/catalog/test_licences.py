"""Licences in plain words, as data in both languages; the clause is quoted, and no advice is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import modelnook.catalog.licences as licences
import modelnook.domain.model as model
from modelnook.domain.model import Licence

TABLE = json.loads(Path(licences.__file__).with_name("licences.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("id", sorted(TABLE))
def test_a_row_is_whole_in_both_languages(id: str) -> None:
    row = TABLE[id]
    assert row["commercial"] in ("yes", "no", "conditions")
    assert row["share_alike"] in ("yes", "no", "conditions")
    assert len(row["clause"]) > 30
    assert ("condition" in row) == (row["commercial"] == "conditions")
    for name in ("must", "forbidden", "condition"):
        assert set(row.get(name, {"en": 1, "zh": 1})) == {"en", "zh"}
    kind = Licence(id).kind
    assert (kind == "noncommercial") <= (row["commercial"] == "no")
    assert (kind in ("permissive", "copyleft")) <= (row["commercial"] == "yes")
    assert (kind == "permissive") <= (row["share_alike"] == "no")


def test_every_licence_that_is_known_by_name_is_quoted() -> None:
    known = model._PERMISSIVE | model._COPYLEFT
    assert known - set(TABLE) == set()
    # Creative Commons said it otherwise before 4.0, where "Licensed Material" and "Share" were no words of theirs.
    old = {id for id in TABLE if id.startswith("cc-by") and not id.endswith("4.0")}
    assert not [id for id in old if "Licensed Material" in TABLE[id]["clause"] or "and Share " in TABLE[id]["clause"]]


def test_it_is_told_in_the_persons_language(monkeypatch: pytest.MonkeyPatch) -> None:
    english = licences.terms("llama3")
    assert (english.commercial, english.share_alike) == ("conditions", "no")
    assert "700 million" in english.condition
    assert "legal advice" in english.note
    monkeypatch.setenv("MODELNOOK_LANG", "zh")
    chinese = licences.terms("llama3")
    assert "7 亿" in chinese.condition
    assert chinese.clause == english.clause


def test_one_that_is_not_in_the_table_is_told_by_its_kind() -> None:
    assert licences.terms("cc-by-nc-9.9").commercial == "no"
    assert licences.terms("zlib").commercial == "yes"
    assert licences.terms("somebody's own").commercial == "unknown"
    assert licences.terms(None).share_alike == "unknown"
