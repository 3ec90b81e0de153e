"""Variables in words: names, attributes, constant subscripts, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from modelnook.domain.errors import ModelnookError, NotFoundError, UsageError
from modelnook.magics.scope import Namespace
from modelnook.run_list import RunList
from modelnook.store import Store
from modelnook.verbs import Value

FRAME = pd.DataFrame({"body": ["a", "b"], "label": [1, 2]})
VARIABLES: dict[str, Any] = {
    "train": [1, 2, 3],
    "ds": {"train": "rows", "a b": "spaced"},
    "df": FRAME,
    "run": SimpleNamespace(model="local:topics@1"),
    "n": 3,
    "_private": 1,
    "In": [],
    "pd": pd,
    "fn": len,
}


@pytest.fixture
def scope() -> Namespace:
    return Namespace(VARIABLES, hidden=("In",))


def test_bare_words_after_data_are_variables(scope: Namespace) -> None:
    assert scope.data("train") == [1, 2, 3]
    assert scope.data('ds["train"]') == "rows"
    assert scope.data("ds['a b']") == "spaced"
    assert list(scope.data("df.body")) == ["a", "b"]
    assert list(scope.data("df[['body']].columns")) == ["body"]
    assert scope.data("train[:2]") == [1, 2]
    assert scope.data("train[-1]") == 3


def test_a_file_is_near_where_no_variable_has_its_name(
    scope: Namespace, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text("text,label\n")
    (tmp_path / "train.csv").write_text("text,label\n")
    with pytest.raises(NotFoundError, match=r"variable 'reviews'\. Did you mean 'reviews\.csv'"):
        scope.data("reviews")
    assert scope.data("train") == [1, 2, 3]


@pytest.mark.parametrize(
    "path", ["a/b", "./train", "rows.csv", "ds.jsonl", "~/x", "C:\\x", "hub:a/b", "s3://b/x", "x.csv.gz"]
)
def test_paths_are_paths(scope: Namespace, path: str) -> None:
    assert scope.data(path) == path


@pytest.mark.parametrize(
    ("word", "near"),
    [("trian", "train"), ('ds["tran"]', "train"), ("df.bdy", "body"), ("df['lable']", "label"), ("rows", "")],
)
def test_a_near_miss_is_suggested(scope: Namespace, word: str, near: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        scope.data(word)
    assert near in caught.value.hint


def test_where_there_are_no_rows_yet_it_is_said_how_they_are_read() -> None:
    with pytest.raises(NotFoundError) as caught:
        Namespace({"pd": pd}).data("train")
    assert "train = pandas.read_csv" in caught.value.hint
    assert "--data ./reviews.csv" in caught.value.hint


@pytest.mark.parametrize(
    "code", ["train + train", "len(train)", "__import__('os')", "train[n]", "f'{n}'", "[1]", "a b"]
)
def test_no_other_code_is_run(scope: Namespace, code: str) -> None:
    with pytest.raises(UsageError, match="not the name of a variable"):
        scope.value(code)


def test_braces_are_replaced(scope: Namespace) -> None:
    assert scope.expand("topics-{n}") == "topics-3"
    assert scope.expand("{run.model}") == "local:topics@1"
    assert scope.expand("{{n}}") == "{n}"
    assert scope.expand("$n") == "$n"
    assert scope.expand("{") == "{"
    with pytest.raises(ModelnookError, match="no variable 'm'"):
        scope.expand("x{m}")


def test_a_word_that_is_a_variable_is_the_object(scope: Namespace) -> None:
    word = scope.expand("{df}")
    assert isinstance(word, Value)
    assert word.value is FRAME


def test_the_persons_own_names(scope: Namespace) -> None:
    assert scope.names() == ["df", "ds", "n", "run", "train"]


def test_the_word_of_a_value_with_a_card_is_one_line() -> None:
    runs = RunList((), Store())
    named = Namespace({"runs": runs})
    assert named.expand("{runs}") == "<RunList 'Runs: 0'>"
    assert named.expand("{runs}").value is runs  # type: ignore[attr-defined]
    assert named.expand("of-{runs}") == "of-<RunList 'Runs: 0'>"
