"""The split: disjoint, complete, the same everywhere, and without leaks that it can avoid."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from modelnook.data.columns import find
from modelnook.data.frame import Rows
from modelnook.data.read import read
from modelnook.data.split import MOST, split
from modelnook.domain.dataset import Columns, Split
from modelnook.domain.errors import DataError, NotFoundError

BOTH = Columns.of(text="text", label="label")


def _rows(labels: list[Any], **more: list[Any]) -> Rows:
    return Rows({"text": [f"row {i}" for i in range(len(labels))], "label": labels, **more})


def _whole(rows: Rows, train: list[int], held_out: list[int]) -> None:
    assert train == sorted(train)
    assert held_out == sorted(held_out)
    assert sorted(train + held_out) == rows.ids.tolist()
    assert train
    assert held_out


def test_each_class_gives_its_share() -> None:
    rows = _rows(["a"] * 700 + ["b"] * 200 + ["c"] * 97 + ["d"] * 2 + ["e"])
    train, held_out = split(rows, BOTH, Split(), 0)
    _whole(rows, train, held_out)
    labels = rows.column("label")
    assert len(held_out) == 100
    count = Counter(labels[i] for i in held_out)
    assert abs(count["a"] - 70) <= 1
    assert abs(count["b"] - 20) <= 1
    assert abs(count["c"] - 10) <= 1
    assert count["d"] == 1
    assert "e" not in count


@pytest.mark.parametrize(
    "labels", [[0, 1], [0, 0], [0, 1, 0], [0, 1] * 2, [0, 1, 2, 3, 4], [0] * 9 + [1], [None, 1, 0, 1]]
)
def test_tiny_tables(labels: list[Any]) -> None:
    rows = _rows(labels)
    _whole(rows, *split(rows, BOTH, Split(), 0))


def test_one_row_cannot_be_split() -> None:
    with pytest.raises(DataError, match="1 row can't be split"):
        split(_rows([1]), BOTH, Split())


@pytest.mark.slow
def test_at_most_5000_and_one_a_class() -> None:
    assert len(split(_rows([0, 1] * 40_000), BOTH, Split(), 0)[1]) == MOST
    many = _rows([i // 4 for i in range(400)])
    held_out = split(many, BOTH, Split(), 0)[1]
    assert len({i // 4 for i in held_out}) == 100


def test_seeds_differ_and_repeat() -> None:
    rows = _rows([0, 1] * 200)
    one, again, other = (split(rows, BOTH, Split(), seed)[1] for seed in (1, 1, 2))
    assert one == again
    assert one != other


@pytest.mark.slow
def test_the_same_in_another_process_and_hash_seed() -> None:
    code = (
        "from modelnook.data.frame import Rows\nfrom modelnook.data.split import split\n"
        "from modelnook.domain.dataset import Columns, Split\n"
        "rows = Rows({'text': [f'row {i}' for i in range(300)], 'label': [str(i % 3) for i in range(300)]})\n"
        "print(split(rows, Columns.of(text='text', label='label'), Split(), 7)[1])"
    )
    found = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    # Written down: a newer numpy or Python must not move anybody's validation rows.
    assert [found_ids[:12] for found_ids in map(json.loads, found)] == [
        [6, 23, 24, 32, 37, 46, 52, 67, 90, 96, 98, 114]
    ]


def test_copies_of_a_text_stay_together() -> None:
    rows = Rows({"text": [f"row {i % 30}" for i in range(300)], "label": [i % 2 for i in range(300)]})
    train, held_out = split(rows, BOTH, Split(), 0)
    _whole(rows, train, held_out)
    assert not {i % 30 for i in train} & {i % 30 for i in held_out}
    assert 10 <= len(held_out) <= 40


def test_copies_of_tagged_words_and_questions_on_one_passage_stay_together() -> None:
    words = [["Ann", "left", str(i // 4)] for i in range(80)]
    rows = read({"tokens": words, "ner_tags": [["B-PER", "O", "O"]] * 80})
    train, held_out = split(rows, Columns.of(tokens="tokens", ner_tags="ner_tags"), Split(), 0)
    _whole(rows, train, held_out)
    assert not {words[i][2] for i in train} & {words[i][2] for i in held_out}
    passages = [f"passage {i // 4}" for i in range(80)]
    asked = read({"question": [f"q {i}" for i in range(80)], "context": passages, "answers": ["passage"] * 80})
    columns = Columns.of(question="question", context="context", answers="answers")
    train, held_out = split(asked, columns, Split(), 0)
    assert not {passages[i] for i in train} & {passages[i] for i in held_out}


def test_copies_of_conversations_stay_together() -> None:
    talks = [[{"role": "user", "content": f"q{i % 5}"}, {"role": "assistant", "content": "a"}] for i in range(50)]
    rows = read({"messages": talks})
    train, held_out = split(rows, Columns.of(messages="messages"), Split(), 0)
    _whole(rows, train, held_out)
    assert not {i % 5 for i in train} & {i % 5 for i in held_out}


def table_of(**features: list[Any]) -> tuple[Rows, Columns]:
    count = len(next(iter(features.values())))
    columns = Columns.of(label="y", **{f"feature:{name}": name for name in features})
    return read({**features, "y": [i % 2 for i in range(count)]}), columns


def test_copies_of_a_tables_rows_stay_together() -> None:
    names = [None if i % 30 == 7 else f"n{i % 30}" for i in range(300)]
    rows, columns = table_of(name=names, size=[i % 30 / 7 for i in range(300)], rest=[[1]] * 300)
    train, held_out = split(rows, columns, Split(), 0)
    _whole(rows, train, held_out)
    assert not {i % 30 for i in train} & {i % 30 for i in held_out}
    assert 10 <= len(held_out) <= 40


def test_rows_of_few_values_are_no_copies() -> None:
    rng = random.Random(0)
    few = {name: rng.choices(["a", "b", "c"], k=600) for name in ("class", "age", "sex")}
    many = {name: [i % 7 % 2 for i in range(600)] for name in "abcdefgh"}
    for features in (few, many):
        rows, columns = table_of(**features)
        train, held_out = split(rows, columns, Split(), 0)
        _whole(rows, train, held_out)
        assert len(held_out) == 60


def test_numbers_to_predict_are_not_classes() -> None:
    rows = _rows([i / 7 for i in range(100)])
    assert len(split(rows, BOTH, Split(), 0)[1]) == 10


def test_newest_rows_validate() -> None:
    for dates in (
        [f"2026-{1 + i % 12:02}-15" for i in range(120)],
        [f"{('Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec').split()[i % 12]} 15, 2026" for i in range(120)],
        [f"2026年{1 + i % 12}月15日" for i in range(120)],
        [i % 12 for i in range(120)],
    ):
        rows = _rows([0, 1] * 60, when=dates)
        train, held_out = split(rows, BOTH, Split.parse("time:when"), 0)
        _whole(rows, train, held_out)
        assert {i % 12 for i in held_out} == {11}, dates[0]
        assert len(held_out) == 10


@pytest.mark.parametrize(
    "form", ["%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m/%d/%Y", "%m-%d-%Y", "%d/%m/%Y %H:%M", "%d. %m. %Y", "%d.%m.%y"]
)
def test_the_order_of_day_and_month_is_the_columns(form: str) -> None:
    days = [datetime(2020, 1, 1) + timedelta(days=(37 * i) % 120) for i in range(120)]
    rows = _rows([0, 1] * 60, when=[day.strftime(form) for day in days])
    held_out = split(rows, BOTH, Split.parse("time:when"), 0)[1]
    assert {days[i] for i in held_out} == set(sorted(days)[-12:])


@pytest.mark.parametrize("extra", [[], ["13/01/2020", "01/13/2020"]])
def test_dates_whose_order_nothing_tells_are_refused(extra: list[str]) -> None:
    dates = [f"0{1 + i % 9}/0{1 + i % 7}/2020" for i in range(18)] + extra
    with pytest.raises(DataError, match=r"'0[1-9]/0[1-9]/2020'") as caught:
        split(_rows([0, 1] * (len(dates) // 2), when=dates), BOTH, Split.parse("time:when"), 0)
    assert caught.value.code == "data.day_or_month"
    assert "2026-05-20" in (caught.value.hint or "")


def test_a_day_that_is_its_month_needs_no_order() -> None:
    rows = _rows([0, 1] * 10, when=[f"01/01/{2000 + i}" for i in range(20)])
    assert split(rows, BOTH, Split.parse("time:when"), 0)[1] == [18, 19]


@pytest.mark.parametrize("form", ["{day}", "{day}T10:00:00Z", "{day} 10:00", "{day}T10:00:00.123456789+08:00"])
def test_dates_in_json_lines_are_ordered_as_dates(form: str, tmp_path: Path) -> None:
    days = [form.format(day=f"2026-{1 + i % 12:02}-15") for i in range(119)] + ["2025-12-31"]
    lines = [json.dumps({"text": f"row {i}", "label": i % 2, "when": day}) for i, day in enumerate(days)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    rows = read(tmp_path / "rows.jsonl")
    train, held_out = split(rows, BOTH, Split.parse("time:when"), 0)
    _whole(rows, train, held_out)
    assert {days[i][:7] for i in held_out} == {"2026-12"}


def test_times_to_the_nanosecond_are_read_alike_in_every_form(tmp_path: Path) -> None:
    times = pd.Series(pd.date_range("2026-01-05 10:00:00.123456789", periods=120, freq="h"))
    frame = pd.DataFrame({"text": [f"row {i}" for i in range(120)], "label": [0, 1] * 60, "when": times})
    frame.to_parquet(tmp_path / "rows.parquet")
    assert parquet.read_schema(tmp_path / "rows.parquet").field("when").type == pa.timestamp("ns")
    for data in (tmp_path / "rows.parquet", frame, pa.table(frame), frame.to_dict("records")):
        rows = read(data)
        assert rows.column("when")[0] == datetime(2026, 1, 5, 10, 0, 0, 123456)
        assert split(rows, BOTH, Split.parse("time:when"), 0)[1] == list(range(108, 120))


@pytest.mark.parametrize(
    ("dates", "says"),
    [
        (["2026-01-01"] * 9, "is '2026-01-01' in every row|in every row"),
        (["soon"] * 9, "is 'soon', which is no date"),
        ([None] * 9, "no dates"),
        ([[1]] * 9, "no dates"),
    ],
)
def test_times_that_are_none(dates: list[Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        split(_rows([0, 1, 0] * 3, when=dates), BOTH, Split.parse("time:when"), 0)


def test_no_group_on_both_sides() -> None:
    users = [f"u{i % 17}" for i in range(340)]
    rows = _rows([0, 1] * 170, user=users)
    train, held_out = split(rows, BOTH, Split.parse("group:user"), 3)
    _whole(rows, train, held_out)
    assert not {users[i] for i in train} & {users[i] for i in held_out}
    big = _rows([0, 1] * 50, user=["a"] * 60 + ["b"] * 40)
    assert len(split(big, BOTH, Split.parse("group:user"), 0)[1]) == 40
    with pytest.raises(DataError, match="one group only"):
        split(_rows([0, 1], user=["a", "a"]), BOTH, Split.parse("group:user"), 0)


def test_what_the_column_says() -> None:
    rows = _rows([0, 1] * 5, part=["train"] * 6 + ["Dev"] * 2 + ["test"] * 2)
    assert split(rows, BOTH, Split.parse("predefined:part")) == ([0, 1, 2, 3, 4, 5], [6, 7])
    flags = _rows([0, 1] * 2, valid=[False, True, False, True])
    assert split(flags, BOTH, Split.parse("predefined:valid")) == ([0, 2], [1, 3])
    numbers = _rows([0, 1] * 2, valid=[0.0, 1.0, None, 0.0])
    with pytest.raises(DataError, match="says '' in 1 row"):
        split(numbers, BOTH, Split.parse("predefined:valid"))
    with pytest.raises(DataError, match="marks no row as train"):
        split(_rows([0, 1], part=["test", "dev"]), BOTH, Split.parse("predefined:part"))


@pytest.mark.parametrize(
    "name", ["is_train", "isTrain", "是否训练", "for_training", "trainset", "dev", "validate", "held_out"]
)
@pytest.mark.parametrize("flags", [(True, False), (1, 0), (1.0, 0.0), ("Yes", "no")])
def test_flags_mark_what_their_column_is_named_for(name: str, flags: tuple[Any, Any]) -> None:
    marked, other = flags
    rows = _rows([0, 1] * 2, **{name: [marked, marked, other, marked]})
    sides = split(rows, BOTH, Split.parse(f"predefined:{name}"))
    assert sides == (([2], [0, 1, 3]) if name in ("dev", "validate", "held_out") else ([0, 1, 3], [2]))


def test_rows_that_a_flag_marks_as_test_are_not_used() -> None:
    rows = _rows([0, 1] * 10, is_test=[1] * 5 + [0] * 15)
    train, held_out = split(rows, BOTH, Split.parse("predefined:is_test"))
    assert sorted(train + held_out) == list(range(5, 20))


@pytest.mark.parametrize("name", ["part", "train_or_test", "not_train", "constraint", "device"])
def test_flags_without_a_meaning_are_refused(name: str) -> None:
    rows = _rows([0, 1], **{name: [True, False]})
    with pytest.raises(DataError, match=r"holds flags such as 'false'.*name it is_train"):
        split(rows, BOTH, Split.parse(f"predefined:{name}"))


def test_numbers_of_three_sides_are_no_flags() -> None:
    rows = _rows([0, 1] * 2, part=[0, 1, 0, 2])
    assert split(rows, BOTH, Split.parse("predefined:part")) == ([0, 2], [1])


def test_a_tuning_divides_the_training_rows_of_three_sides_once_more() -> None:
    from modelnook.api.parts import three_parts
    from modelnook.api.reading import Read

    rows = _rows([0, 1] * 50, part=[0] * 60 + [1] * 20 + [2] * 20)
    table = Read(rows, BOTH, SimpleNamespace())  # type: ignore[arg-type]
    parts = three_parts(table, rows, Split.parse("predefined:part"), 0, validated=False)
    assert parts["holdout"] == list(range(60, 80))
    assert sorted(parts["train"] + parts["validation"]) == list(range(60))
    assert parts["validation"]


def test_test_rows_are_never_used_to_validate() -> None:
    rows = _rows([0, 1] * 50, part=["train"] * 60 + ["测试"] * 40)
    train, held_out = split(rows, BOTH, Split.parse("predefined:part"))
    assert sorted(train + held_out) == list(range(60))
    assert len(held_out) == 6


def test_unknown_column() -> None:
    with pytest.raises(NotFoundError, match="Did you mean 'user'"):
        split(_rows([0, 1], user=[1, 2]), BOTH, Split.parse("group:usr"))


def test_ids_are_those_of_the_whole_table() -> None:
    rows = _rows([0, 1] * 20).take(range(10, 40))
    train, held_out = split(rows, BOTH, Split(), 0)
    assert sorted(train + held_out) == list(range(10, 40))


def test_real_rows(real: Callable[[str], Path]) -> None:
    rows = read(real("bbc-news/bbc-news.jsonl.gz"))
    columns = find(rows, ("text", "label"))
    train, held_out = split(rows, columns, Split(), 0)
    _whole(rows, train, held_out)
    texts = rows.column("text")
    assert not {texts[i] for i in train} & {texts[i] for i in held_out}
    assert abs(len(held_out) - 222) <= 5
