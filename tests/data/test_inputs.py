"""What predict takes: one text or many, in any form, each row with its answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelnook.data.inputs import inputs
from modelnook.domain.errors import DataError, NotFoundError


def test_texts_in_every_form() -> None:
    frame = pd.DataFrame({"id": [1, 2], "body": ["a", "b"]}, index=["x", "y"])
    assert inputs("a fine day, s.csv") == (["a fine day, s.csv"], None)
    for text in ("std::vector crashed", "hub: of the wheel", "https://example.org/ is down", "see /tmp/x.csv for more"):
        assert inputs(text) == ([text], None)
    assert inputs(frame.iloc[:0])[0] == []
    assert inputs(["a", "b"]) == (["a", "b"], None)
    assert inputs(("a", 3)) == (["a", "3"], None)
    assert inputs(np.array(["a", "b"])) == (["a", "b"], None)
    assert inputs(c for c in "ab") == (["a", "b"], None)
    assert inputs([]) == ([], None)
    assert inputs({"text": "a"}) == (["a"], None)
    assert inputs({"text": ["a", "b"]})[0] == ["a", "b"]
    assert inputs([{"text": "a", "label": 1}]) == (["a"], None)
    rows, index = inputs(frame)
    assert (rows, list(index)) == (["a", "b"], ["x", "y"])
    rows, index = inputs(frame["body"])
    assert (rows, list(index)) == (["a", "b"], ["x", "y"])
    assert inputs(frame, ("text",), {"text": "id"})[0] == ["1", "2"]


def test_missing_texts_are_empty_and_keep_their_row() -> None:
    for data in ([None, "a", float("nan")], pd.Series([None, "a", np.nan]), pd.DataFrame({"text": [None, "a", pd.NA]})):
        assert inputs(data)[0] == ["", "a", ""]


def test_several_roles() -> None:
    rows, _ = inputs([{"question": "q", "context": "c"}], ("question", "context"))
    assert rows == [{"question": "q", "context": "c"}]
    one = {"question": "q", "context": "c", "answers": {"text": ["c"], "answer_start": [0]}}
    assert inputs(one, ("question", "context"))[0] == rows


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("review,city\nfine,X\n")
    assert inputs(tmp_path / "new.csv")[0] == ["fine"]
    assert inputs(str(tmp_path / "new.csv"))[0] == ["fine"]
    with pytest.raises(NotFoundError, match="Did you mean"):
        inputs(str(tmp_path / "nev.csv"))


def test_what_is_no_input() -> None:
    with pytest.raises(DataError):
        inputs(3)
    with pytest.raises(DataError, match="Item 1 of the list is a list"):
        inputs(["a", ["b"]])
