"""Answers that stand in a text: as data sets write them, where they stand, and how two of them are compared."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Any

__all__ = ["Answer", "answers_of", "overlap", "place", "sentences", "terms"]

Answer = tuple[str, int | None]
"""``(text, where it begins)``; None where a data set doesn't say."""

_CJK = r"\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TERM = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")
_ARTICLE = re.compile(r"\b(a|an|the)\b")


def answers_of(cell: Any) -> list[Answer]:
    """A row's answers, from any of the forms: a text, a list of texts, SQuAD's ``{"text": […], "answer_start": […]}``.

    >>> answers_of("Rome"), answers_of({"text": ["Rome"], "answer_start": [7]})
    ([('Rome', None)], [('Rome', 7)])
    >>> answers_of([{"text": "Rome", "answer_start": 7}, "the city"])
    [('Rome', 7), ('the city', None)]

    A place that is no whole number (NaN, an empty text: a table's way to say nothing) counts as not given.

    Raises:
        TypeError: none of these; it says what instead.
    """
    if cell is None or cell != cell:
        return []
    if isinstance(cell, str):
        return [(cell, None)] if cell.strip() else []
    if isinstance(cell, Mapping):
        texts, starts = cell.get("text"), cell.get("answer_start", cell.get("start"))
        if not isinstance(texts, (list, tuple)):
            texts, starts = [texts], [starts]
        starts = starts if isinstance(starts, (list, tuple)) else [None] * len(texts)
        pairs = zip(texts, map(_whole, starts), strict=False)
        return [(text, start) for text, start in pairs if isinstance(text, str) and text.strip()]
    if isinstance(cell, (list, tuple)):
        return [answer for part in cell for answer in answers_of(part)]
    raise TypeError(type(cell).__name__)


def _whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if number.is_integer() else None


def place(context: str, answer: Answer) -> tuple[int, int] | None:
    """Where an answer stands: as it says, else where its text is found first, also in other letters' case.

    >>> place("Ann left Rome.", ("Rome", 9)), place("Ann left Rome.", ("rome", 99)), place("Ann left.", ("Rome", None))
    ((9, 13), (9, 13), None)
    """
    text, said = answer[0].strip(), answer[1]
    if said is not None and said >= 0:
        # Blanks that were stripped from the answer, and miscounts of a character or two, as data sets have them.
        for start in (said, *(said + shift for shift in (1, -1, 2, -2))):
            if start >= 0 and context[start : start + len(text)] == text:
                return start, start + len(text)
    start = context.find(text)
    if start < 0:
        match = re.search(re.escape(text), context, re.IGNORECASE)
        return match.span() if match else None
    return start, start + len(text)


def terms(text: str) -> list[str]:
    """What answers are compared by, as SQuAD normalises: lower case, no punctuation, no articles; then the words.

    Chinese and Japanese, which have no blanks between words, by characters.

    >>> terms("The U.S. Army"), terms("《红楼梦》 1 部")
    (['us', 'army'], ['红', '楼', '梦', '1', '部'])
    """
    plain = "".join(c for c in text.lower() if unicodedata.category(c)[0] != "P" and c not in "$+<=>^`|~")
    return _TERM.findall(_ARTICLE.sub(" ", plain))


def overlap(said: str, known: str) -> tuple[float, float]:
    """``(F1 of the terms, whether they are the same)``.

    >>> overlap("in Rome", "Rome"), overlap("the Rome", "rome!")
    ((0.6666666666666666, 0.0), (1.0, 1.0))
    """
    one, two = terms(said), terms(known)
    if not one or not two:
        return float(one == two), float(one == two)
    both = sum((Counter(one) & Counter(two)).values())
    return 2 * both / (len(one) + len(two)), float(one == two)


def sentences(text: str) -> list[tuple[int, int]]:
    """Where each sentence of a text begins and ends.

    >>> [("Ann left. Who came? 他来了。好" )[a:b] for a, b in sentences("Ann left. Who came? 他来了。好")]
    ['Ann left.', 'Who came?', '他来了。', '好']
    """
    found = []
    for match in re.finditer(r"[^.!?。！？；\n]+(?:\.(?=\S)[^.!?。！？；\n]*)*[.!?。！？；]*", text):
        start, end = match.span()
        inner = match[0]
        start += len(inner) - len(inner.lstrip())
        end -= len(inner) - len(inner.rstrip())
        if start < end:
            found.append((start, end))
    return found
