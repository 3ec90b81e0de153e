"""Words that many models have, with what is known of them beforehand.

Two long lists that hardly meet, such as "bert" and a task that no bert serves, are the one case where the first page
takes a walk through both. For each word that 2 to 40 of a hundred entries have, the index holds how many of its
entries have each filter, and where they are few, which: such a page is looked up, and so are the word's facets.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, compress

__all__ = ["Broad", "broad_words", "read_broad"]

_LEAST, _MOST = 0.02, 0.4
_AT_LEAST = 2000
FEW = 200
"""Up to so many entries of a word and a filter are kept by their ranks."""


@dataclass(frozen=True, slots=True)
class Broad:
    """Of the entries that have a word in their name or in what is said of them.

    ``counts`` by filter token, ``few``: the ranks where they are at most :data:`FEW`, ``total`` of them all.
    """

    total: int
    counts: dict[str, int]
    few: dict[str, list[int]]


def broad_words(db: sqlite3.Connection, codes: array[int], tokens: list[list[str]]) -> Iterable[tuple[str, str]]:
    """``(word, JSON)`` of every broad word of an index that is being written.

    Args:
        codes: the code of each row's filters, by rank.
        tokens: the filter tokens that each code stands for.
    """
    least, most = max(_AT_LEAST, int(_LEAST * len(codes))), int(_MOST * len(codes))
    db.execute("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, names, row)")
    said = db.execute("SELECT term FROM temp.terms WHERE doc BETWEEN ? AND ?", (least, most)).fetchall()
    db.execute("DROP TABLE temp.terms")
    for word in sorted({term.removeprefix("~") for (term,) in said if term[1:2] != "="}):
        yield word, json.dumps(_looked_through(db, word, codes, tokens))


def _looked_through(db: sqlite3.Connection, word: str, codes: array[int], tokens: list[list[str]]) -> list[object]:
    word = word.replace('"', '""')
    found = db.execute("SELECT rowid - 1 FROM names WHERE names MATCH ?", (f'"{word}" OR "~{word}"',))
    places = list(chain.from_iterable(found))
    # Millions of them in all: no loop of Python's own goes over every one.
    held = list(map(codes.__getitem__, places))
    counts = Counter(held)
    rare: dict[int, list[int]] = {code: [] for code, n in counts.items() if n <= FEW}
    for place, code in compress(zip(places, held, strict=True), map(rare.__contains__, held)):
        rare[code].append(place + 1)
    by_token: dict[str, int] = {}
    for code, n in counts.items():
        for token in tokens[code]:
            by_token[token] = by_token.get(token, 0) + n
    few: dict[str, list[int]] = {token: [] for token, n in by_token.items() if n <= FEW}
    for code, ranks in rare.items():
        for token in tokens[code]:
            if token in few:
                few[token] += ranks
    return [sum(counts.values()), by_token, {token: sorted(ranks) for token, ranks in few.items()}]


def read_broad(db: sqlite3.Connection, word: str) -> Broad | None:
    """What is known of a word; None of one that few have, or nearly all."""
    row = db.execute("SELECT said FROM broad WHERE word = ?", (word,)).fetchone()
    return Broad(*json.loads(row[0])) if row else None
