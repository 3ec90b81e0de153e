"""What a person should know of their rows before training: copies, leaks, contradictions, lengths, languages.

Only warnings, from a look of under a second at 100,000 rows. What makes training impossible is the task's to say
(:meth:`modelnook.tasks.spec.Spec.check`): missing labels, one class, no text; so are uneven and rare classes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelnook.domain.dataset import Columns
from modelnook.domain.event import Warned

if TYPE_CHECKING:
    from modelnook.data.frame import Rows

__all__ = ["checks", "cjk_share", "leaks", "looked_at", "reading"]

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_LETTER = re.compile(r"[^\W\d_]")
_SAMPLE = 2_000
_PAIRS = 5
NOTICED = 0.01
"""The share of rows from which known ones move a metric by what people look at: a point."""
_FEW = {"data.leak": "data.leak_few", "data.seen": "data.seen_few"}
_LONG = 4_000  # characters: beyond what an encoder of 512 tokens reads of English


def looked_at(
    spec: Any, rows: Rows, columns: Columns, split: Mapping[str, Sequence[int]], held: Mapping[str, Any] | None = None
) -> list[Warned]:
    """:func:`checks` of a task's rows.

    Args:
        spec: the task's light half.
        split: ``train`` and ``validation``, the ids of such rows; empty where all are trained on.
        held: role -> values of validation rows of their own.
    """
    texts, read = _said(spec, {role: rows.column(name) for role, name in columns.to_dict().items()})
    found = checks(rows, columns, split.get("train"), split.get("validation"), texts=texts, read=read)
    return found if held is None else [*leaks(texts, _said(spec, held)[0]), *found]


def _said(spec: Any, columns: Mapping[str, Any]) -> tuple[list[str], bool]:
    """What each row says, and whether that can be read; images and sounds are told apart by their digests."""
    texts = spec.texts(columns)
    if texts is not None:
        return texts, True
    return [hashlib.sha1(cell).hexdigest() if cell else "" for cell in columns[spec.inputs[0]]], False


def checks(
    rows: Rows,
    columns: Columns,
    train_ids: Sequence[int] | None = None,
    eval_ids: Sequence[int] | None = None,
    *,
    texts: Sequence[str] | None = None,
    read: bool = True,
) -> list[Warned]:
    """Everything worth a warning, most important first: what was read how, leaks, contradictions, copies, the rest.

    Args:
        texts: what each row says (:meth:`modelnook.tasks.spec.Spec.texts`); without it the column ``text``.
        read: whether a model reads these texts; False where they only stand for files, as digests.

    >>> from modelnook.data.read import read
    >>> rows = read({"text": ["Good food", "good  food", "bad"], "label": [1, 0, 0]})
    >>> [w.code for w in checks(rows, Columns.of(text="text", label="label"), [0, 2], [1])]
    ['data.leak', 'data.conflict']
    """
    warned = reading(rows, columns)
    name = columns.get("text")
    if texts is None:
        if name is None:
            return warned
        texts = [v if isinstance(v, str) else "" if v is None else str(v) for v in rows.column(name)]
    plain = [_normal(text) for text in texts]
    label = columns.get("label")
    labels = rows.column(label) if label else None
    if labels and isinstance(labels[0], (list, dict)):
        labels = None
    place = {row: i for i, row in enumerate(rows.ids.tolist())}
    train = [place[i] for i in train_ids] if train_ids is not None else None
    held_out = [place[i] for i in eval_ids] if eval_ids is not None else []
    if train is not None and held_out:
        warned += leaks([plain[i] for i in train], [plain[i] for i in held_out], normal=True)
    warned += [*_alike(labels), *_conflicts(plain, labels, rows)] if labels else []
    warned += _copies(plain, texts, labels, (train, held_out) if train is not None else (range(len(plain)),))
    if read:
        warned += _lengths(texts)
        warned += _languages(texts)
    return warned


def reading(rows: Rows, columns: Columns) -> list[Warned]:
    """What happened while the rows were read: an encoding that was told by its bytes, a column made text.

    A snapshot of the rows no longer knows it.
    """
    warned = list(rows.notes)
    for column in columns.to_dict().values():
        rows.arrow(column)
        if column in rows.mixed:
            warned.append(Warned.of("data.mixed", column=column, row=rows.mixed[column]))
    return warned


def leaks(
    train: Sequence[Any], held_out: Sequence[Any], *, normal: bool = False, code: str = "data.leak"
) -> list[Warned]:
    """A warning where texts to validate or test on are among the training texts, up to case and blanks.

    No metric is off by more than their share: below a hundredth it is said that they are few.

    Args:
        normal: both are normalised already.
        code: the warning's message; ``data.seen`` for rows that a person gives to be judged on.

    >>> leaks(["Good food", "bad"], ["good food ", "fine"])[0].message
    '1 of 2 validation rows (50%) is in the training rows as well: the metrics will look better than they are.'
    """
    if not normal:
        train, held_out = [_normal(str(v or "")) for v in train], [_normal(str(v or "")) for v in held_out]
    known = set(train)
    known.discard("")
    count = sum(1 for text in held_out if text in known)
    if not count:
        return []
    percent = _percent(count, len(held_out))
    few = count < NOTICED * len(held_out)
    return [Warned.of(_FEW[code] if few else code, count=count, rows=len(held_out), percent=percent)]


def cjk_share(texts: Sequence[Any], sample: int = _SAMPLE) -> float:
    """Which part of the letters is Chinese, Japanese or Korean, in an even sample of the texts.

    >>> cjk_share(["酒店很好", "good"])
    0.5
    """
    step = max(1, len(texts) // sample)
    joined = "".join(str(v)[:500] for v in texts[::step] if v is not None)
    letters = len(_LETTER.findall(joined))
    return len(_CJK.findall(joined)) / letters if letters else 0.0


def _normal(text: str) -> str:
    return " ".join(text.split()).casefold()


def _alike(labels: Sequence[Any]) -> list[Warned]:
    """Labels that a slip of the keyboard has made two. Other signs tell labels apart: C and C++."""
    spelt: dict[str, list[str]] = {}
    for label in dict.fromkeys(value.strip() for value in labels if isinstance(value, str)):
        spelt.setdefault(_normal(label.replace("_", " ")), []).append(label)
    pairs = [" = ".join(f"'{name}'" for name in names) for names in spelt.values() if len(names) > 1]
    return [Warned.of("data.alike_labels", pairs=", ".join(pairs[:_PAIRS]))] if pairs else []


def _conflicts(plain: Sequence[str], labels: Sequence[Any], rows: Rows) -> list[Warned]:
    first: dict[str, int] = {}
    odd: set[str] = set()
    example: tuple[int, int] | None = None
    for i, text in enumerate(plain):
        before = first.setdefault(text, i)
        if text and before != i and labels[before] != labels[i]:
            odd.add(text)
            example = example or (int(rows.ids[before]), int(rows.ids[i]))
    if example is None:
        return []
    return [Warned.of("data.conflict", count=len(odd), one=example[0], two=example[1])]


def _copies(
    plain: Sequence[str], texts: Sequence[str], labels: Sequence[Any] | None, parts: Sequence[Sequence[int]]
) -> list[Warned]:
    """Copies within each part. Of rows that differ in case, blanks or label only many are told; of equal ones all."""
    rows = sum(map(len, parts))
    alike = _doubled(plain, parts)
    same = list(zip(texts, map(str, labels), strict=True)) if labels else texts
    # Empty ones are the task's to say.
    copies = alike if alike >= 0.01 * rows else _doubled(same, [[i for i in part if plain[i]] for part in parts])
    return [Warned.of("data.copies", count=copies, rows=rows, percent=_percent(copies, rows))] if copies else []


def _doubled(values: Sequence[Any], parts: Sequence[Sequence[int]]) -> int:
    """How many values of a part were there before."""
    return sum(len(part) - len({values[i] for i in part}) for part in parts)


def _lengths(texts: Sequence[str]) -> list[Warned]:
    long = sum(1 for text in texts if len(text) > _LONG)
    if long < 0.01 * len(texts) or not long:
        return []
    return [Warned.of("data.long", count=long, percent=_percent(long, len(texts)), characters=_LONG)]


def _languages(texts: Sequence[str]) -> list[Warned]:
    """Rows in Chinese and rows in another script: few models read both well."""
    step = max(1, len(texts) // _SAMPLE)
    shares = [cjk_share([text]) for text in texts[::step] if text.strip()]
    chinese = sum(1 for s in shares if s > 0.5)
    other = sum(1 for s in shares if s < 0.1)
    if not shares or min(chinese, other) < 0.05 * len(shares):
        return []
    return [Warned.of("data.languages", percent=_percent(chinese, len(shares)))]


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole
    return f"{share:.0f}" if share >= 1 else "<1"
