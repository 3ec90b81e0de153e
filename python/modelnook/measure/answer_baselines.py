"""A baseline for questions about a text: word overlap, which learns nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelnook.tasks.answers import sentences, terms
from modelnook.tasks.spec import Columns, Spec
from modelnook.tasks.text import as_text
from modelnook.tasks.words import words_of

__all__ = ["lexical"]

MOST_CHARS = 20_000
MOST_TRIED = 300
"""Training rows on which it is tried whether sentences or parts of them are nearer to the answers."""


def lexical(task: Spec, train: Columns | None, evaluation: Columns, labels: Sequence[str]) -> Any:
    """The sentence that shares most words with the question, rare words counting more.

    Of it the longest run of words that the question hasn't, for what is asked for isn't in a question; or the whole of
    it, where that is nearer to the answers of training. The form is that of the task's outputs, with a score of 1.
    """
    whole = False
    if train is not None:
        tried = {role: values[:MOST_TRIED] for role, values in train.items()}
        truth = task.truth(tried, labels)
        part, all_of_it = (task.score(truth, _outputs(tried, whole), labels)["f1"] for whole in (False, True))
        whole = all_of_it > part
    return _outputs(evaluation, whole)


def _outputs(columns: Columns, whole: bool) -> NDArray[np.float64]:
    found = []
    for asked, read in zip(columns["question"], columns["context"], strict=True):
        question, context = set(terms(as_text(asked))), as_text(read)[:MOST_CHARS]
        start, end = _sentence(question, context)
        found.append([*((start, end) if whole else _rest(context[start:end], question, start)), 1.0])
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def _sentence(asked: set[str], context: str) -> tuple[int, int]:
    parts = [(start, end, set(terms(context[start:end]))) for start, end in sentences(context)]
    if not parts:
        return 0, len(context)
    seen = Counter(term for _, _, words in parts for term in words)
    rare = {term: math.log(1 + len(parts) / seen[term]) for term in asked if seen[term]}
    start, end, _ = max(parts, key=lambda part: sum(rare.get(term, 0.0) for term in part[2]))
    return start, end


def _rest(sentence: str, asked: set[str], shift: int) -> tuple[int, int]:
    """The longest run of words between those of the question and punctuation."""
    best, run = (0, len(sentence)), list[tuple[int, int]]()
    length = 0
    for place in [*words_of(sentence)[1], None]:
        said = terms(sentence[slice(*place)]) if place else []
        if place and said and not set(said) & asked:
            run.append(place)
            continue
        if len(run) > length:
            best, length = (run[0][0], run[-1][1]), len(run)
        run = []
    return shift + best[0], shift + best[1]
