"""Which rows train and which validate, where the person gave no validation rows. The same rows on every machine."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelnook.domain.dataset import FEATURE, Columns, Split
from modelnook.domain.errors import DataError, NotFoundError, unknown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelnook.data.frame import Rows

__all__ = ["MOST", "split"]

MOST = 5_000
"""Validation rows at most: more make the interval narrower than anybody looks, and every epoch slower."""

_WORDS = {
    "train": "train training trainset tr trn 训练 训练集",
    "eval": "validation validate valid val valset dev devset eval evaluation development heldout "
    "验证 验证集 开发 开发集",
    "test": "test testing testset tst holdout 2 测试 测试集",
}
_SIDES = {word: side for side, words in _WORDS.items() for word in words.split()}
_FLAGS = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


def split(rows: Rows, columns: Columns, spec: Split, seed: int = 0) -> tuple[list[int], list[int]]:
    """``(train_ids, eval_ids)``, each in the order of the rows; together all rows but those marked as test.

    ``random`` puts texts, conversations and rows of a table that are the same on the same side (a copy in the
    validation rows would be a leak) and takes of each label its share, at least one where it has two. ``time`` takes
    the newest rows, ``group`` whole groups, ``predefined`` what a column says: by words, or by flags
    where its name tells what they mark.

    Raises:
        NotFoundError: the split's column isn't there.
        DataError: one row, one group, a date or a split name that can't be read, days that can't be told from months.

    >>> from modelnook.data.read import read
    >>> rows = read([{"text": f"row {i}", "label": i % 2} for i in range(40)])
    >>> train, held_out = split(rows, Columns.of(text="text", label="label"), Split(), seed=0)
    >>> len(train), len(held_out), sum(i % 2 for i in held_out)
    (36, 4, 2)
    """
    if len(rows) < 2:
        raise DataError("data.too_few", rows=len(rows))
    if spec.column is not None and spec.column not in rows:
        raise unknown("column", spec.column, rows.names, kind=NotFoundError)
    if spec.kind == "predefined":
        train, held_out = _predefined(rows, columns, spec, seed)
    elif spec.kind == "time":
        train, held_out = _time(rows, spec)
    elif spec.kind == "group":
        train, held_out = _group(rows, spec, seed)
    else:
        train, held_out = _random(rows, columns, spec, seed)
    ids = rows.ids.tolist()
    return [ids[i] for i in sorted(train)], [ids[i] for i in sorted(held_out)]


def _wanted(rows: int, spec: Split, classes: int = 1) -> int:
    return max(1, min(MOST, rows // 2, max(round(spec.fraction * rows), classes)))


def _keys(count: int, seed: int) -> NDArray[np.uint64]:
    # random_raw is the generator's own stream, which numpy promises not to change; its shuffles may.
    import numpy as np

    keys: NDArray[np.uint64] = np.random.PCG64(seed).random_raw(count)
    return keys


def _random(rows: Rows, columns: Columns, spec: Split, seed: int) -> tuple[list[int], list[int]]:
    units = _same_text(rows, columns)
    labels = _classes(rows, columns)
    keys = _keys(len(rows), seed)
    by_class: dict[Any, list[list[int]]] = defaultdict(list)
    for unit in units:
        by_class[labels[unit[0]]].append(unit)
    total = _wanted(len(rows), spec, sum(len(u) > 1 for u in by_class.values()))
    held_out: list[int] = []
    quotas = _quotas(
        {c: len(u) for c, u in by_class.items()}, {c: sum(map(len, u)) for c, u in by_class.items()}, total
    )
    for label, members in by_class.items():
        quota, got = quotas[label], 0
        order = sorted(members, key=lambda unit: int(keys[unit[0]]))
        for unit in order[:-1]:  # one stays for training, whatever its size
            if got + len(unit) <= quota:
                held_out += unit
                got += len(unit)
            if got >= quota:
                break
    if not held_out:  # every label once, or copies of one text only: any row is better than none
        held_out = min(units, key=lambda unit: (len(unit), int(keys[unit[0]])))[: len(rows) // 2]
    return _rest(len(rows), held_out), held_out


# Rows that share what stands in the first of these would give one another away: questions on one passage stay together.
_SAME = ("image", "audio", "context", "text", "source", "prompt", "messages", "anchor", "question", "tokens")


def _same_text(rows: Rows, columns: Columns) -> list[list[int]]:
    """Row positions, those of equal texts together; of a table those that are equal in every feature."""
    import pyarrow as pa

    name = next((c for c in map(columns.get, _SAME) if c), None)
    features = [column for role, column in columns.roles if role.startswith(FEATURE)]
    if features and not name:
        return _same_features(rows, features)
    array = rows.arrow(name) if name else None
    kinds = (pa.types.is_large_string, pa.types.is_large_binary, pa.types.is_list, pa.types.is_large_list)
    if array is None or not any(kind(array.type) for kind in kinds):
        return [[i] for i in range(len(rows))]
    units: dict[Any, list[int]] = defaultdict(list)
    for i, code in enumerate(_codes(array)):
        units[-1 - i if code is None else code].append(i)
    return list(units.values())


_COPIES = 20
"""Of a table's rows that each occur more often than this on the average, none is taken for a copy."""


def _same_features(rows: Rows, names: Sequence[str]) -> list[list[int]]:
    import numpy as np

    keys, possible = np.zeros(len(rows), dtype=np.uint64), 1
    for name in names:
        known: dict[Any, int] = {}
        codes = [known.setdefault(code, len(known)) for code in _codes(rows.arrow(name))]
        # A hash instead of the cells, which may be many millions; the number is odd and spreads over all bits.
        keys = keys * np.uint64(0x9E3779B97F4A7C15) + np.array(codes, dtype=np.uint64)
        possible *= len(known)
    units: dict[int, list[int]] = defaultdict(list)
    for i, key in enumerate(keys.tolist()):
        units[key].append(i)
    # Rows of few columns with few values are equal by nature: kept together, a few combinations alone would validate.
    if 2 * len(units) > possible or len(rows) > _COPIES * len(units):
        return [[i] for i in range(len(rows))]
    return list(units.values())


def _codes(array: Any) -> list[Any]:
    """What is the same for equal cells and None for missing ones. Files are hashed where they lie: they may be many."""
    import pyarrow as pa

    if pa.types.is_large_binary(array.type):
        return [hashlib.sha1(cell.as_buffer()).digest() if cell.is_valid else None for cell in array]
    if pa.types.is_nested(array.type):
        return [None if cell is None else repr(cell) for cell in array.to_pylist()]
    codes: list[Any] = array.dictionary_encode().indices.to_pylist()
    return codes


def _classes(rows: Rows, columns: Columns) -> list[Any]:
    """Each row's label where labels repeat, else one for all: a number to predict has no classes."""
    import pyarrow as pa

    name = columns.get("label")
    array = rows.arrow(name) if name else None
    if array is None or pa.types.is_nested(array.type):
        return [None] * len(rows)
    encoded = array.dictionary_encode()
    if len(encoded.dictionary) > len(rows) / 2:
        return [None] * len(rows)
    codes: list[Any] = encoded.indices.to_pylist()
    return codes


def _quotas(units: dict[Any, int], sizes: dict[Any, int], total: int) -> dict[Any, int]:
    """Rows to hold out of each class: its share, at least one where it has two texts, by largest remainders."""
    every = sum(sizes.values())
    exact = {c: total * n / every for c, n in sizes.items()}
    quotas = {c: (0 if units[c] < 2 else max(1, int(exact[c]))) for c in sizes}
    left = total - sum(quotas.values())
    order = sorted((c for c in sizes if units[c] > 1), key=lambda c: int(exact[c]) - exact[c])
    for c in order[: max(0, left)]:
        quotas[c] += 1
    return quotas


def _rest(count: int, held_out: Sequence[int]) -> list[int]:
    out = set(held_out)
    return [i for i in range(count) if i not in out]


def _time(rows: Rows, spec: Split) -> tuple[list[int], list[int]]:
    times = _times(rows, spec.column or "")
    dated = sorted((i for i, v in enumerate(times) if v is not None), key=lambda i: times[i])
    if len(dated) < 2:
        raise DataError("data.no_times", column=spec.column)
    cut = len(dated) - _wanted(len(dated), spec)
    # Rows of one moment stay together, else the newest training rows would know the validation rows' day.
    later = [k for k in range(cut, len(dated)) if times[dated[k]] != times[dated[k - 1]]]
    earlier = [k for k in range(cut, 0, -1) if times[dated[k]] != times[dated[k - 1]]]
    if not later and not earlier:
        raise DataError("data.one_time", column=spec.column, value=rows.column(spec.column or "")[dated[0]])
    cut = min(later[:1] + earlier[:1], key=lambda k: abs(k - cut))
    held_out = dated[cut:]
    return _rest(len(rows), held_out), held_out


def _times(rows: Rows, name: str) -> list[Any]:
    import pyarrow as pa

    array = rows.arrow(name)
    if not pa.types.is_large_string(array.type):
        if pa.types.is_nested(array.type) or pa.types.is_boolean(array.type):
            raise DataError("data.no_times", column=name)
        values: list[Any] = array.to_pylist()
        return values
    try:
        parsed: list[Any] = array.cast(pa.timestamp("us")).to_pylist()
        return parsed
    except pa.ArrowInvalid:
        import pandas  # only it reads "May 20, 2012" and 2012年5月20日

        text = array.to_pandas().str.replace(r"^(\d+)年(\d+)月(\d+)日?", r"\1-\2-\3", regex=True)
        text = _month_first(text, name)
        read = pandas.to_datetime(text, errors="coerce", format="mixed", utc=True)
        bad = read.isna() & text.notna()
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise DataError("data.bad_time", column=name, row=row, value=str(text.iloc[row])[:40]) from None
        return [None if v is pandas.NaT else v for v in read]


_DAY_OR_MONTH = r"^(\s*)(\d{1,2})(([/.-])\s*)(\d{1,2})(?=\4\s*(?:\d{4}|\d{2})(?!\d))"


def _month_first(text: Any, name: str) -> Any:
    """Dates that begin with two small numbers, as pandas reads them: it would decide of each cell by itself.

    Raises:
        DataError: the column doesn't tell which of the two is the month.
    """
    pairs = text.str.extract(_DAY_OR_MONTH)[[1, 4]].dropna().astype(int)
    days, months = (bool((pairs[part] > 12).any()) for part in (1, 4))
    if days == months and (pairs[1] != pairs[4]).any():
        value = text[pairs.index[pairs[1] != pairs[4]][0]]
        raise DataError("data.day_or_month", column=name, value=str(value)[:40])
    return text.str.replace(_DAY_OR_MONTH, r"\1\5\3\2", regex=True) if days else text


def _group(rows: Rows, spec: Split, seed: int) -> tuple[list[int], list[int]]:
    groups: dict[Any, list[int]] = defaultdict(list)
    for i, value in enumerate(rows.column(spec.column or "")):
        groups[("alone", i) if value is None else _hashable(value)].append(i)
    if len(groups) < 2:
        raise DataError("data.one_group", column=spec.column)
    keys = _keys(len(rows), seed)
    order = sorted(groups.values(), key=lambda members: int(keys[members[0]]))
    wanted, held_out = _wanted(len(rows), spec), list[int]()
    for members in order:
        if len(held_out) + len(members) <= wanted:
            held_out += members
    if not held_out:
        held_out = min(order, key=len)  # every group is larger than the share: the smallest one
    return _rest(len(rows), held_out), held_out


def _hashable(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool)) else repr(value)


def _predefined(rows: Rows, columns: Columns, spec: Split, seed: int) -> tuple[list[int], list[int]]:
    sides: dict[str, list[int]] = {"train": [], "eval": [], "test": []}
    odd: Counter[str] = Counter()
    words = [_word(value) for value in rows.column(spec.column or "")]
    marks = _SIDES | _marks(spec.column or "", set(words))
    for i, word in enumerate(words):
        if word in marks:
            sides[marks[word]].append(i)
        else:
            odd[word] += 1
    if odd:
        value, count = odd.most_common(1)[0]
        raise DataError("data.bad_split", column=spec.column, value=value, count=count)
    if not sides["train"]:
        raise DataError("data.no_train", column=spec.column)
    if sides["eval"]:
        return sides["train"], sides["eval"]
    # Train and test only: the test rows are the person's, so validation rows come out of the training rows.
    ids = rows.ids
    train = rows.take([int(ids[i]) for i in sides["train"]])
    if len(train) < 2:
        raise DataError("data.too_few", rows=len(train))
    kept, held_out = _random(train, columns, Split(fraction=spec.fraction), seed)
    return [sides["train"][i] for i in kept], [sides["train"][i] for i in held_out]


def _word(value: Any) -> str:
    return "" if value is None else str(value).strip().casefold().removesuffix(".0")


def _marks(column: str, words: set[str]) -> dict[str, str]:
    """The side on which each flag among a column's words puts a row: the column's name says which one it marks.

    Raises:
        DataError: there are flags, and the name says no side, or several.
    """
    flags = words & _FLAGS.keys()
    if not flags:
        return {}
    parts = [part.casefold() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", column)]
    parts.append("".join(parts))
    named = {_SIDES[bare] for part in parts if (bare := part.removeprefix("is")) in _SIDES}
    named |= {side for word, side in _SIDES.items() if not word.isascii() and word in column}
    negated = {"no", "non", "not"} & set(parts) or "非" in column
    if len(named) == 1 and not negated:
        (side,) = named
        other = "eval" if side == "train" else "train"
    elif "2" in words and not named:
        # Numbers of the three sides, no flags.
        side, other = "eval", "train"
    else:
        raise DataError("data.unclear_flags", column=column, value=min(flags))
    return {word: side if _FLAGS[word] else other for word in flags}
