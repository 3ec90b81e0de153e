"""Words of a text and where they stand; words as the text that a model reads; the runs of tags that are entities."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OUTSIDE", "Scheme", "Spans", "as_word", "scheme", "spans", "starts_wide", "words_of"]

OUTSIDE = "O"

_CJK = r"\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+|[^\w\s]")
_ENDS_WIDE = re.compile(rf"[{_CJK}\uff00-\uffef]$")
_STARTS_WIDE = re.compile(rf"^[{_CJK}\uff00-\uffef]")
_PREFIX = re.compile(r"([BIESMLU])(?:[-_](.*))?", re.DOTALL)

# What each prefix says: begins, goes on, ends, stands alone. BMES and BILOU have other letters for the same.
_KINDS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}


def as_word(value: Any) -> str:
    """A cell of a list of words as text; empty where it is missing."""
    return value if isinstance(value, str) else "" if value is None or value != value else str(value)


def starts_wide(text: str) -> bool:
    """Whether a text begins with a character of a script that has no blanks between words, or with a mark of one."""
    return bool(_STARTS_WIDE.search(text))


def words_of(cell: Any) -> tuple[str, list[tuple[int, int]]]:
    """``(text, where each word stands in it)``.

    A text is divided at blanks, at punctuation, and around each Chinese or Japanese character. Given words make a text
    with a blank between two of them, and none between two such characters.

    >>> words_of("Ann left 北京.")[1]
    [(0, 3), (4, 8), (9, 10), (10, 11), (11, 12)]
    >>> words_of(["Ann", "left", "北", "京"])
    ('Ann left 北京', [(0, 3), (4, 8), (9, 10), (10, 11)])
    """
    if isinstance(cell, str) or cell is None or not hasattr(cell, "__iter__"):
        text = as_word(cell)
        return text, [match.span() for match in _WORD.finditer(text)]
    text, places = "", []
    for word in map(as_word, cell):
        wide = _ENDS_WIDE.search(text) and starts_wide(word)
        text += "" if wide or not text else " "
        places.append((len(text), len(text) + len(word)))
        text += word
    return text, places


class Scheme(NamedTuple):
    """What tags say of words: ``kinds`` (one of O, B, I, E, S for each tag), ``types`` (an index) and their names."""

    kinds: NDArray[np.str_]
    types: NDArray[np.int64]
    names: list[str]


def scheme(labels: Sequence[str]) -> Scheme:
    """How to read a set of tags.

    With prefixes (IOB, BIOES, BMES, BILOU) they mark where an entity begins and goes on. Without, runs of one tag are
    an entity, ``O`` is none; and where there is no ``O`` either (parts of speech) each word stands for itself.

    >>> scheme(["O", "B-PER", "I-PER"]).names, scheme(["NOUN", "VERB"]).kinds.tolist()
    (['PER'], ['S', 'S'])
    """
    import numpy as np

    found = [_PREFIX.fullmatch(label) for label in labels]
    marked = any(match and match[2] is not None for match in found)
    plain = "I" if OUTSIDE in labels or marked else "S"
    kinds, types = [], []
    for label, match in zip(labels, found, strict=True):
        use = match if marked else None
        kinds.append("O" if label == OUTSIDE else _KINDS[use[1]] if use else plain)
        types.append("" if label == OUTSIDE else (use[2] or "_") if use else label)
    names = sorted({t for t, kind in zip(types, kinds, strict=True) if kind != "O"})
    index = {name: i for i, name in enumerate(names)}
    return Scheme(np.array(kinds, dtype="<U1"), np.array([index.get(t, -1) for t in types], dtype=np.int64), names)


class Spans(NamedTuple):
    """Entities of many rows: each one's row, its first and last word there, and its type; int64 of one length."""

    row: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    type: NDArray[np.int64]


def spans(tags: Sequence[NDArray[np.int64]], how: Scheme) -> Spans:
    """The entities of rows of tags, by the rules of conlleval (and seqeval's default mode).

    A tag that goes on without anything before it begins an entity; so does one of another type.

    Args:
        tags: of each row the indices of its words' tags.
    """
    import numpy as np

    sizes = np.array([len(row) for row in tags], dtype=np.int64)
    # A word outside of everything after each row, so that no entity goes on into the next one.
    starts = np.concatenate([[0], np.cumsum(sizes + 1)])
    kinds = np.full(int(starts[-1]), "O", dtype="<U1")
    types = np.full(int(starts[-1]), -1, dtype=np.int64)
    if sizes.sum():
        flat = np.concatenate(list(tags)).astype(np.int64)
        at = np.arange(len(flat)) + np.repeat(np.arange(len(sizes)), sizes)
        kinds[at], types[at] = how.kinds[flat], how.types[flat]
    before = np.concatenate([["O"], kinds[:-1]])
    other = types != np.concatenate([[-1], types[:-1]])
    inside, was = kinds != "O", before != "O"
    begins = inside & (np.isin(kinds, ("B", "S")) | other | np.isin(before, ("E", "S", "O")))
    ends = was & (np.isin(before, ("E", "S")) | ~inside | np.isin(kinds, ("B", "S")) | other)
    first, last = np.flatnonzero(begins), np.flatnonzero(ends) - 1
    row = np.searchsorted(starts, first, side="right") - 1
    return Spans(row, first - starts[row], last - starts[row], types[first])
