"""A colleague's run is what a stranger wrote: it is shown, and nothing obeys it."""

from __future__ import annotations

import json
from typing import Any

import pytest

import modelnook as mn
from modelnook import cards, records
from modelnook.domain.run import RunRecord
from modelnook.store import Store
from modelnook.store.received import adopt, received

ESCAPE, LINE = "\x1b[2J\x9b31m\x07\r", "\u202e"
RECORD = {
    "id": "zabcdefg",
    "name": "topics",
    "kind": "finetune",
    "state": "finished",
    "created": "2026-01-01T00:00:00Z",
}


def adopted(code: str = "print(1)\n", **fields: Any) -> RunRecord:
    sent = json.dumps({"record": {**RECORD, **fields}, "code": code, "curves": {}})
    made = adopt(Store(), sent.encode(), "team", "team:m@1")
    assert made is not None
    return made


def test_its_script_moves_no_cursor() -> None:
    adopted(f"def f():\r\n\tprint(1)  # 中文 {ESCAPE}{LINE}\n")
    assert records.code("zabcdefg") == "def f():\n\tprint(1)  # 中文 [2J31m\n"


def test_its_texts_move_none_either() -> None:
    made = adopted(
        name=f"nice{ESCAPE}",
        method=f"lora{ESCAPE}",
        metrics={f"accuracy{ESCAPE}": 0.5},
        primary_metric=f"accuracy{ESCAPE}",
        baselines={f"tfidf{ESCAPE}": {f"accuracy{ESCAPE}": 0.4}},
        intervals={f"accuracy{ESCAPE}": [0.4, 0.6]},
        params={f"epochs{ESCAPE}": f"3{LINE}", "prompt": "two\n\tlines"},
        data={"rows": 5, "columns": {f"text{ESCAPE}": f"body{ESCAPE}"}, "fingerprint": f"f{ESCAPE}"},
    )
    for record in (made, *received(Store())):
        said = json.dumps(record.to_dict(), ensure_ascii=False)
        assert not [c for c in "\x1b\x9b\x07\r" + LINE if c in said]
        assert record.primary == 0.5
        assert record.params["prompt"] == "two\n\tlines"
    assert "\x1b" not in str(mn.runs()[0])


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        ({"rows": "x", "columns": [1, 2], "fingerprint": 3}, None),
        ({"rows": 7, "columns": ["text", "label"]}, {"rows": 7, "columns": ["text", "label"]}),
        ({"rows": 10**400, "columns": "text"}, None),
        ({"rows": -1, "columns": {"text": {"a": 1}}, "more": 1}, None),
        (
            {"rows": 7, "columns": {"text": "body"}, "fingerprint": "ab", "name": "mine"},
            {"rows": 7, "columns": {"text": "body"}, "fingerprint": "ab"},
        ),
    ],
)
def test_what_it_says_of_its_rows_is_of_its_kind(data: dict[str, Any], kept: dict[str, Any] | None) -> None:
    assert adopted(data=data).data == kept
    assert cards.text(mn.runs()[0])
    assert cards.html(mn.runs()[0])


def test_trees_without_end_are_left_out() -> None:
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"a": deep}
    made = adopted(params={"tree": deep, "epochs": 3}, data=deep, metrics=deep, intervals=deep)
    assert (made.params, made.data, made.metrics, made.intervals) == ({"epochs": 3}, None, {}, {})
