"""Columns by themselves where names make it plain, by name otherwise, and never by chance."""

from __future__ import annotations

from typing import Any

import pytest

from modelnook.data.columns import NAMES, find, find_form, has_role, label_beside, label_kind, only_text, taken
from modelnook.data.frame import Rows
from modelnook.data.read import read
from modelnook.domain.errors import DataError, NotFoundError

ROLES = ("text", "label")
PLAIN: dict[str, tuple[dict[str, list[Any]], str, str]] = {
    "same names": ({"text": ["a", "b"], "label": [0, 1]}, "text", "label"),
    "case and blanks": ({"Review Text": ["a", "b"], "Sentiment": [0, 1]}, "Review Text", "Sentiment"),
    "chinese": ({"评论内容": ["好", "差"], "情感": [0, 1]}, "评论内容", "情感"),
    "mixed": ({"id": [1, 2], "内容": ["好", "差"], "label": [0, 1], "city": ["x", "y"]}, "内容", "label"),
    "text beside body": ({"body": ["a"], "text": ["b"], "title": ["c"], "class": [1]}, "text", "class"),
    "label beside rating": ({"review": ["a"], "rating": [3], "label": [1]}, "review", "label"),
    "two odd names": ({"utter": [f"say {i}" for i in range(9)], "act": [0, 1, 2] * 3}, "utter", "act"),
    "ids ignored": (
        {
            "Unnamed: 0": [*range(9)],
            "id": [*range(9)],
            "phrase": [f"p {i}" for i in range(9)],
            "kind": ["x", "y", "z"] * 3,
        },
        "phrase",
        "kind",
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain(name: str) -> None:
    columns, text, label = PLAIN[name]
    assert find(Rows(columns), ROLES).to_dict() == {"text": text, "label": label}


def test_given_wins_and_rarer_roles_are_kept() -> None:
    rows = Rows({"text": ["a"], "body": ["b"], "label": [1], "when": ["2026"]})
    found = find(rows, ROLES, {"text": "body", "label": None, "time": "when"})
    assert found.to_dict() == {"label": "label", "text": "body", "time": "when"}
    assert taken(found) == "Columns: label = label, text = body, time = when."


def test_unknown_column_has_a_near_miss() -> None:
    with pytest.raises(NotFoundError, match=r"no column 'lable'\. Did you mean 'label'"):
        find(Rows({"text": ["a"], "label": [1]}), ROLES, {"label": "lable"})


def test_several_candidates_are_named() -> None:
    rows = Rows({"body": ["a"], "comment": ["b"], "label": [1]})
    with pytest.raises(DataError, match=r'could be the text: body, comment\. Name one: text="body" \(--text body\)'):
        find(rows, ROLES)


def test_none_is_guessed_among_many() -> None:
    rows = Rows({n: ["x", "y"] * 5 for n in ("one", "two", "three")})
    with pytest.raises(DataError, match="No column is plainly the text; the columns are: one, two, three"):
        find(rows, ROLES)


def test_a_number_to_predict_is_not_taken_for_a_class() -> None:
    rows = Rows({"phrase": [f"p {i}" for i in range(9)], "value": [i / 7 for i in range(9)]})
    with pytest.raises(DataError, match="plainly the label"):
        find(rows, ROLES)


@pytest.mark.parametrize(
    ("columns", "forms", "said"),
    [
        ("tokens tgs", "tokens+ner_tags", "ner_tags=tgs"),
        ("question ctxt answers", "question+context+answers", "context=ctxt"),
        ("anchor pos1", "anchor+positive+negative anchor+positive text+text_pair", "positive=pos1"),
        ("prompt compl", "messages prompt+completion text", "completion=compl"),
        ("mesages id", "messages prompt+completion", "messages=mesages"),
        ("txet date city", "text+label", "--text txet"),
        ("one two three", "messages prompt+completion", "--columns messages=NAME"),
    ],
)
def test_what_is_missing_is_asked_for_with_the_column_that_is_near(columns: str, forms: str, said: str) -> None:
    rows = Rows({name: [f"{name} {i}" for i in range(9)] for name in columns.split()})
    with pytest.raises(DataError) as caught:
        find_form(rows, [form.split("+") for form in forms.split()])
    assert said in caught.value.hint


def test_a_target_beside_a_source_is_a_label_only_where_it_repeats() -> None:
    source = [f"say {i}" for i in range(12)]
    assert not only_text(Rows({"source": source, "target": [f"sage {i}" for i in range(12)]}))
    assert only_text(Rows({"source": source, "target": ["good", "bad"] * 6}))
    assert only_text(Rows({"source": source, "label": ["good", "bad"] * 6}))


def test_predict_needs_the_text_alone() -> None:
    assert find(Rows({"utter": ["a", "b"], "id": [1, 2]}), ("text",)).to_dict() == {"text": "utter"}


def test_one_column_never_plays_two_parts() -> None:
    rows = Rows({"问题": ["a", "b"], "回答": ["c", "d"]})
    assert find(rows, ("prompt", "completion")).to_dict() == {"prompt": "问题", "completion": "回答"}
    assert find(Rows({"en": ["a"], "zh": ["b"]}), ("source", "target")).to_dict() == {"source": "en", "target": "zh"}


@pytest.mark.parametrize("role", NAMES)
def test_every_role_goes_by_its_own_name(role: str) -> None:
    assert NAMES[role][0] == role
    assert len(set(NAMES[role])) == len(NAMES[role])


def test_what_a_label_column_holds() -> None:
    rows = read({"text": ["a"] * 60, "label": [i % 3 for i in range(60)], "score": [i / 7 for i in range(60)]})
    assert label_kind(rows) == "classes"
    assert label_kind(rows, {"label": "score"}) == "numbers"
    assert label_kind(read({"text": ["a", "b"], "label": [["x"], ["x", "y"]]})) == "lists"
    assert label_kind(read({"text": ["a"] * 400, "label": [i % 100 for i in range(400)]})) == "numbers"
    assert label_kind(read({"text": ["a"] * 900, "label": [i % 100 for i in range(900)]})) == "classes"
    assert label_kind(read({"text": ["a", "b"], "label": [1.0, None]})) == "classes"


def test_roles_are_seen_by_name_or_as_said() -> None:
    rows = read({"评论": ["a"], "y": [1]})
    assert has_role(rows, "text")
    assert not has_role(rows, "tokens")
    assert has_role(rows, "tokens", {"tokens": "y"})


def test_the_one_column_beside_texts_is_their_label_where_it_can_be() -> None:
    rows = [{"id": i, "review": f"text {i}", "verdict": "yes" if i % 2 else "no", "note": f"n {i}"} for i in range(20)]
    alone = read([{name: row[name] for name in ("id", "review", "verdict")} for row in rows])
    assert label_beside(alone, {}, "fill-mask")
    assert not label_beside(read([{"id": row["id"], "review": row["review"]} for row in rows]), {}, "fill-mask")
    assert not label_beside(read([{"review": row["review"], "note": row["note"]} for row in rows]), {}, "fill-mask")
    unnamed = read([{"what": row["review"], "how": row["verdict"]} for row in rows])
    assert label_beside(unnamed, {}, "fill-mask"), "by elimination, as the columns are found"
    assert not label_beside(read([{"what": row["review"], "other": row["note"]} for row in rows]), {}, "fill-mask")
    with pytest.raises(DataError) as caught:
        label_beside(read(rows), {}, "fill-mask")
    assert "verdict" in caught.value.message
    assert "--label verdict" in caught.value.hint
    assert "--task fill-mask" in caught.value.hint
