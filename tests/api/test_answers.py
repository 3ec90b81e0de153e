"""What predict gives: its inputs beside it, and both in a file."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from modelnook.api.answers_file import check, write
from modelnook.cli.command import _json
from modelnook.domain.errors import ModelnookError, StoreError, UsageError
from modelnook.messages import LANGUAGES

pd = pytest.importorskip("pandas")


def answers(inputs: list[Any] | None = None) -> Any:
    from modelnook.api.answers import Answers

    inputs = inputs if inputs is not None else ["one", "two", "three"]
    return Answers.of(
        [{"label": str(row).upper(), "score": 1 / (n + 2)} for n, row in enumerate(inputs)], inputs, None, None
    )


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_inputs_stand_beside_their_own_answers_alone() -> None:
    told = answers()
    assert list(told.with_inputs()["input"]) == ["one", "two", "three"]
    told.sort_values("score", inplace=True, ignore_index=True)
    assert list(told["label"]) == ["THREE", "TWO", "ONE"]
    assert "input" not in told.with_inputs().columns
    assert "one" not in repr(told)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_place_for_answers_is_refused_before_there_are_any(
    lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELNOOK_LANG", lang)
    monkeypatch.chdir(tmp_path)
    Path("folder.csv").mkdir()
    Path("file").touch()
    for output, code in (
        ("folder.csv", "api.output_folder"),
        ("file/answers.csv", "api.output_unwritable"),
        ("s3://bucket/answers.csv", "api.output_address"),
        ("answers.xlsx", "api.output_ending"),
        ("~nobody-of-that-name/answers.csv", "api.output_unwritable"),
        ("answers\0.csv", "api.output_unwritable"),
    ):
        with pytest.raises(ModelnookError, match=output.partition("\0")[0]) as refused:
            check(output, overwrite=True)
        assert refused.value.code == code
        assert "MODELNOOK_HOME" not in refused.value.hint
    with pytest.raises(UsageError) as address:
        check("https://me:canary@example.org/answers.csv?sig=can/ary", overwrite=True)
    assert not re.search("canary|can/ary", str(address.value.to_dict()))
    assert not list(tmp_path.glob("s3*"))
    check(Path("new/answers.jsonl"), overwrite=False)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place where nobody makes files")
def test_a_place_that_refuses_is_named() -> None:
    with pytest.raises(StoreError, match=r"'/proc/x\.csv' can't be written"):
        write(answers(), "/proc/x.csv", overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_closed_to_this_person_is_a_place_that_refuses(closed_folder: Path, overwrite: bool) -> None:
    for path in (closed_folder / "a.csv", closed_folder / "new" / "a.csv"):
        with pytest.raises(StoreError, match=r"a\.csv' can't be written"):
            check(path, overwrite=overwrite)


def test_who_could_read_a_file_still_can_and_a_link_stays(tmp_path: Path) -> None:
    path, link, private = tmp_path / "answers.csv", tmp_path / "link.csv", tmp_path / "private.csv"
    write(answers(), path, overwrite=False)
    before = path.stat().st_mode
    assert before & 0o044, "a file of a person's own, not of the store"
    link.symlink_to(path)
    write(answers(["another"]), link, overwrite=True)
    assert link.is_symlink()
    assert "another" in path.read_text()
    assert path.stat().st_mode == before
    private.touch(mode=0o600)
    write(answers(), private, overwrite=True)
    assert private.stat().st_mode & 0o777 == 0o600


def test_times_in_inputs_are_said_alike(tmp_path: Path) -> None:
    told = answers([{"day": datetime(2026, 11, 24, 17)}, {"day": pd.Timestamp("2026-11-24T17:00:00")}, {"day": pd.NaT}])
    write(told, tmp_path / "a.jsonl", overwrite=False)
    kept = [json.loads(line)["input"]["day"] for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert kept == ["2026-11-24T17:00:00", "2026-11-24T17:00:00", None]
    printed = [row[-1]["day"] for row in json.loads(_json(told))["rows"]]
    assert [day and day.removesuffix(".000") for day in printed] == kept


def test_no_answers_are_a_table_with_headings(tmp_path: Path) -> None:
    from modelnook.api.answers import Answers

    write(Answers.of([], [], None, ["label", "score"]), tmp_path / "a.csv", overwrite=False)
    assert (tmp_path / "a.csv").read_text() == "label,score\n"


def test_an_ending_in_capitals_is_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        check(str(tmp_path / "a.CSV.txt"), overwrite=False)
    check(str(tmp_path / "a.CSV"), overwrite=False)
