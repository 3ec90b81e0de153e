"""Label names: as text, in natural order, and which of two is the positive one."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from modelnook.domain.errors import DataError
from modelnook.domain.event import Warned

__all__ = [
    "indices",
    "label_name",
    "label_names",
    "missing_label",
    "names",
    "ordered",
    "positive",
    "rare_labels",
    "unseen",
]

LEAST = 5
"""Rows of a label from which on nothing is said of their number."""

_SLIP = 0.8
"""How alike a name and a label are of which one is a slip of the other."""

_YES = frozenset(
    "1 true t yes y positive pos spam fraud toxic hate churn bad default failure abnormal anomaly attack phishing "
    "是 正 正面 正向 积极 好评 垃圾 欺诈 违约 异常 有".split()
)
_NO = frozenset(
    "0 -1 false f no n negative neg ham normal ok legit benign good other none "
    "否 负 负面 负向 消极 差评 正常 无 没有 其他".split()
)


def label_name(value: Any) -> str | None:
    """A label as text, None where it is missing: ``3.0`` is "3", as integers with a gap come from pandas.

    >>> label_name(3.0), label_name(" spam "), label_name(b"spam"), label_name(float("nan"))
    ('3', 'spam', 'spam', None)
    """
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, Integral) and not isinstance(value, bool):
        # Numbers beyond 2**53 are no floats of their own.
        return str(int(value))
    try:
        number = float(value)
    except (TypeError, ValueError):
        text = str(value).strip()
        return None if text in ("", "NaT", "<NA>", "nan") else text
    if math.isnan(number):
        return None
    whole = number.is_integer() and not isinstance(value, bool) and type(value).__name__ not in ("bool", "bool_")
    return str(int(number)) if whole else str(value)


def rare_labels(counts: Mapping[str, int]) -> Warned | None:
    """A warning of labels that are hardly there: they are neither learnt from so few rows nor measured on the rest.

    >>> rare_labels({"a": 40, "b": 2}).message
    '1 label has fewer than 5 rows: b.'
    """
    rare = [name for name, rows in counts.items() if rows < LEAST]
    if not rare:
        return None
    listed = ", ".join(rare[:3]) + (" …" if len(rare) > 3 else "")
    return Warned.of("task.rare_class", count=len(rare), least=LEAST, labels=listed)


def positive(labels: Sequence[str]) -> int:
    """Which of two labels is the positive one: by its name, else the last.

    >>> positive(["spam", "ham"]), positive(["a", "b"])
    (0, 1)
    """
    known = _known_positive(labels)
    return len(labels) - 1 if known is None else known


def _known_positive(labels: Sequence[str]) -> int | None:
    words = [name.lower() for name in labels]
    yes = [i for i, w in enumerate(words) if w in _YES]
    no = [i for i, w in enumerate(words) if w in _NO or w.startswith(("not ", "not_", "non", "非", "不"))]
    if len(yes) == 1:
        return yes[0]
    return 1 - no[0] if len(no) == 1 and len(words) == 2 else None


def names(values: Sequence[Any]) -> list[str]:
    """Each label's name.

    Raises:
        DataError: a missing one, or several in one row; the row is named.
    """
    # Labels repeat: each distinct value is named once.
    known: dict[Any, str | None] = {}
    found: list[str] = []
    for value in values:
        key = (type(value), value)
        try:
            name = known[key] if key in known else known.setdefault(key, label_name(value))
        except TypeError:
            # What holds several values has no hash.
            kind, shown = type(value).__name__, str(value)[:40]
            raise DataError("task.listed_label", row=len(found), kind=kind, value=shown) from None
        if name is None:
            raise missing_label(values)
        found.append(name)
    return found


def missing_label(values: Sequence[Any]) -> DataError:
    """The error for labels of which some are missing: how many, and the first."""
    rows = [row for row, value in enumerate(values) if label_name(value) is None]
    return DataError("task.missing_label", row=rows[0], count=len(rows), rows=len(values))


def _natural(name: str) -> tuple[Any, ...]:
    try:
        return (0, float(name), name)
    except ValueError:
        parts = re.split(r"(\d+)", name.lower())
        return (1, *((0, int(p)) if p.isdigit() else (1, p) for p in parts), (2, name))


def ordered(values: Sequence[str]) -> list[str]:
    """The distinct names in natural order ("2" before "10"); of two, the positive one last.

    Where neither of two is known as the positive one, it is the rarer.
    """
    counts = Counter(values)
    order = sorted(counts, key=_natural)
    if len(order) == 2:
        known = _known_positive(order)
        last = order[known] if known is not None else min(reversed(order), key=counts.__getitem__)
        order.sort(key=lambda name: name == last)
    return order


def indices(values: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Each name's place among ``labels``.

    Raises:
        DataError: a name that isn't among them; its row is named, and a near miss.
    """
    index = {name: i for i, name in enumerate(labels)}
    try:
        return [index[name] for name in values]
    except KeyError as error:
        label = str(error.args[0])
        raise unseen(list(values).index(label), label, labels) from None


def unseen(row: int, label: str, labels: Sequence[str]) -> DataError:
    """The error for a name that isn't among ``labels``; "positive" is no slip of "negative"."""
    plain = {name.strip().casefold(): name for name in labels}
    found = difflib.get_close_matches(label.strip().casefold(), plain, n=1, cutoff=_SLIP)
    close = plain[found[0]] if found else None
    code = "task.unseen_label_near" if close else "task.unseen_label"
    known = ", ".join(labels[:10]) + (" …" if len(labels) > 10 else "")
    return DataError(code, row=row, label=label, near=close, known=known)


def label_names(labels: Sequence[str], classes: int) -> list[str]:
    """``labels``, or ``LABEL_0 …`` where a model carries none for its outputs."""
    return list(labels) if len(labels) == classes else [f"LABEL_{i}" for i in range(classes)]
