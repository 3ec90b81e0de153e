"""What Tab offers after an option: columns as they must be typed, roles, and the words that a register knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.magics.test_completion import completed

from modelnook.magics.scope import Namespace
from modelnook.verbs import parse, split


@pytest.fixture
def completer(shell: Any) -> Any:
    shell.user_ns["train"] = pd.DataFrame({"Review Text": ["a"], "my label": ["b"], "body": ["c"], "say {it}": ["d"]})
    return shell.Completer


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        # With blanks: in quotes, in those that are typed already too.
        ("finetune --data train --text Re", ['finetune --data train --text "Review Text"']),
        ('finetune --data train --text "Re', ['finetune --data train --text "Review Text"']),
        ('finetune --data train --text "Review T', ['finetune --data train --text "Review Text"']),
        ("finetune --data train --text 'Review ", ["finetune --data train --text 'Review Text'"]),
        ("finetune --data train --text=Re", ['finetune --data train --text="Review Text"']),
        ("finetune --data train --text s", ['finetune --data train --text "say {{it}}"']),
        # Wherever the rows are named.
        ("finetune --data=train --text b", ["finetune --data=train --text body"]),
        ("finetune x train --text b", ["finetune x train --text body"]),
        ("evaluate x train --slices b", ["evaluate x train --slices body"]),
        ("predict x --data train --text b", ["predict x --data train --text body"]),
        # Several of them.
        ("finetune x train --drop body,m", ['finetune x train --drop "body,my label"']),
        ("finetune x train --drop b", ["finetune x train --drop body"]),
        # A role and its column.
        ("finetune x train --columns te", ["finetune x train --columns text="]),
        ("finetune x train --columns text=b", ["finetune x train --columns text=body"]),
        ("finetune x train --columns text=Re", ['finetune x train --columns text="Review Text"']),
        (
            'finetune x train --columns text="Review Text",lab',
            ['finetune x train --columns text="Review Text",label='],
        ),
        (
            'finetune x train --columns text="Review Text",label=m',
            ['finetune x train --columns text="Review Text",label="my label"'],
        ),
        # What registers know.
        ("sources add x http://x --kind f", ["sources add x http://x --kind folder"]),
        ("search --license perm", ["search --license permissive"]),
        ("search --license ap", ["search --license apache-2.0"]),
        ("publish x y --license int", ["publish x y --license internal"]),
        (
            "finetune x train --metric f1_m",
            ["finetune x train --metric f1_macro", "finetune x train --metric f1_micro"],
        ),
        ("evaluate x train --metrics acc", ["evaluate x train --metrics accuracy"]),
        ("evaluate x train --metrics rmse,ma", ["evaluate x train --metrics rmse,mae"]),
    ],
)
def test_what_tab_makes_of_a_value(completer: Any, typed: str, becomes: list[str]) -> None:
    assert completed(completer, f"%model {typed}") >= {f"%model {line}" for line in becomes}


def test_what_tab_writes_can_be_run(completer: Any) -> None:
    scope = Namespace(completer.namespace)
    for column in completer.namespace["train"]:
        (line,) = completed(completer, f"%model finetune x train --label body --text {column.split()[0]}")
        assert parse(split(line.removeprefix("%model ")), scope=scope).kwargs["text"] == column


def test_what_would_be_refused_is_not_offered(completer: Any) -> None:
    """A column whose comma would divide it in a list, and places that nobody publishes to."""
    completer.namespace["train"] = pd.DataFrame({"body": ["c"], "be, sure": ["e"]})
    assert completed(completer, "%model finetune x train --drop b") == {"%model finetune x train --drop body"}
    places = {line.rsplit(" ", 1)[1] for line in completed(completer, "%model publish x ")}
    assert "hub" in places
    assert not places & {"local", "pip"}


def test_a_task_narrows_its_metrics_and_roles_down(completer: Any) -> None:
    of_answers = completed(completer, "%model finetune x train --task question-answering --metric ")
    assert {line.rsplit(" ", 1)[1] for line in of_answers} == {"f1", "exact_match"}
    roles = completed(completer, "%model finetune x train --task question-answering --columns ")
    assert "context=" in {line.rsplit(" ", 1)[1] for line in roles}
    assert "label=" not in {line.rsplit(" ", 1)[1] for line in roles}


@pytest.mark.parametrize(
    "typed",
    [
        "explain topics --data train --label ",
        "finetune --data nowhere --text ",
        "finetune --data train --name ",
        "evaluate topics --slices pri",
        "finetune x train --columns text=pri",
        "finetune x train --epochs ",
        "predict topics pri",
        "search --license pri",
    ],
)
def test_where_it_knows_nothing_python_is_not_offered(completer: Any, typed: str) -> None:
    assert completed(completer, f"%model {typed}") == set()


def test_files_are_still_completed_where_one_may_stand(completer: Any, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").touch()
    for typed in ("export topics", "info", "finetune x --text b --data"):
        line = f"%model {typed} {tmp_path}/ro"
        assert completed(completer, line) == {f"{line}ws.csv"}


@pytest.mark.parametrize("name", ["data (1).csv", "it's {x} 1.csv", "plain.csv"])
def test_a_file_that_tab_writes_can_be_run(completer: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "my rows").mkdir()
    (tmp_path / "my rows" / name).touch()
    (line,) = completed(completer, f"%model evaluate topics --data {tmp_path}/my")
    assert line.endswith('my rows/"')
    (line,) = completed(completer, line)
    call = parse(split(line.removeprefix("%model ")), scope=Namespace({}))
    assert call.kwargs["data"] == str(tmp_path / "my rows" / name)


def test_the_body_of_a_cell_knows_its_first_line(completer: Any) -> None:
    assert completed(completer, "%%model finetune x --data train\ntext b") == {"text body"}
    assert completed(completer, "%%model finetune x --data train\ntext Re") == {'text "Review Text"'}
