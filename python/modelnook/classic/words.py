"""Texts as TF-IDF weights of words and pairs of words, or of characters where a script puts no spaces between words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from modelnook.tasks.text import as_text

__all__ = ["MOST_CHARS", "MOST_FEATURES", "SHAPES", "Words", "features_for", "unspaced", "weighed"]

MOST_CHARS = 4_000
MOST_FEATURES = 50_000

MOST_WEIGHTS = 2_000_000
"""Terms x classes of a logistic regression: each weight takes about 270 bytes while it is learnt, and its time."""

SHAPES: dict[str, dict[str, Any]] = {
    "word": {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
    "char": {"ngram_range": (1, 3), "analyzer": "char"},
}
"""What is counted, as arguments of scikit-learn's ``TfidfVectorizer``."""

# Chinese, Japanese, Thai, Lao, Burmese and Khmer are written without spaces; Korean isn't.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def features_for(classes: int) -> int:
    """How many terms are counted at most where one of so many classes is told by them.

    >>> features_for(2), features_for(150)
    (50000, 13333)
    """
    return min(MOST_FEATURES, max(1, MOST_WEIGHTS // max(1, classes)))


def unspaced(texts: Sequence[str], share: float = 0.2) -> bool:
    """Whether a good part of the characters belongs to a script without spaces between words.

    >>> unspaced(["房间很干净，服务也好"]), unspaced(["a clean room"])
    (True, False)
    """
    text = "".join(text[:500] for text in texts[:500])
    return len(_UNSPACED.findall(text)) > share * max(len(text), 1)


class Words:
    """The terms that are counted and how rare each is; ``by`` is ``word`` or ``char``."""

    def __init__(self, vectorizer: Any, by: str) -> None:
        self._vectorizer, self.by = vectorizer, by

    @classmethod
    def learn(cls, texts: Sequence[Any], features: int = MOST_FEATURES) -> tuple[Self, Any] | None:
        """The terms of texts, and the texts' own weights; None where no text has a term.

        Raises:
            ImportError: scikit-learn isn't installed.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer

        cut = [as_text(x)[:MOST_CHARS] for x in texts]
        by = "char" if unspaced(cut) else "word"
        vectorizer = TfidfVectorizer(sublinear_tf=True, max_features=features, dtype=np.float32, **SHAPES[by])
        try:
            weights = vectorizer.fit_transform(cut)
        except ValueError:
            return None
        return cls(vectorizer, by), weights

    @classmethod
    def of(cls, terms: Sequence[str], idf: NDArray[np.float32], by: str) -> Self:
        """Known terms with their weights, in the order of the features."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(
            sublinear_tf=True, dtype=np.float32, vocabulary={term: i for i, term in enumerate(terms)}, **SHAPES[by]
        )
        vectorizer.idf_ = idf
        return cls(vectorizer, by)

    @property
    def terms(self) -> list[str]:
        """The terms in the order of the features."""
        return [str(term) for term in self._vectorizer.get_feature_names_out()]

    @property
    def idf(self) -> NDArray[np.float32]:
        """Each term's inverse document frequency."""
        found: NDArray[np.float32] = np.asarray(self._vectorizer.idf_, dtype=np.float32)
        return found

    def weigh(self, texts: Sequence[Any]) -> Any:
        """A sparse matrix of shape (texts, features), float32, rows of length one."""
        return self._vectorizer.transform([as_text(x)[:MOST_CHARS] for x in texts])

    def places(self, text: str) -> dict[int, list[list[int]]]:
        """Feature -> its occurrences in a text, each the places of its words' starts, or of its characters."""
        cut = text[:MOST_CHARS]
        # A small letter may take two characters where the capital takes one; a sigma's is another at a word's end.
        places = [at for at, char in enumerate(cut) for _ in char.lower()]
        small = list(zip(cut.lower(), places, strict=True))
        known, found = self._vectorizer.vocabulary_, dict[int, list[list[int]]]()
        terms = self._chars(small) if self.by == "char" else self._words(small)
        for size in range(1, SHAPES[self.by]["ngram_range"][1] + 1):
            for first in range(len(terms) - size + 1):
                term = terms[first : first + size]
                feature = known.get(("" if self.by == "char" else " ").join(part for part, _ in term))
                if feature is not None:
                    found.setdefault(int(feature), []).append([at for _, at in term])
        return found

    @staticmethod
    def _words(small: list[tuple[str, int]]) -> list[tuple[str, int]]:
        text = "".join(letter for letter, _ in small)
        matches = re.finditer(SHAPES["word"]["token_pattern"], text)
        return [(match[0], small[match.start()][1]) for match in matches]

    @staticmethod
    def _chars(small: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Letters, several blanks as one, as scikit-learn counts them."""
        text = "".join(letter for letter, _ in small)
        blanks = {at: match for match in re.finditer(r"\s\s+", text) for at in range(match.start(), match.end())}
        return [
            (" " if at in blanks else letter, place)
            for at, (letter, place) in enumerate(small)
            if at not in blanks or blanks[at].start() == at
        ]


def weighed(seen: Sequence[Any], *asked: Sequence[Any], features: int = MOST_FEATURES) -> tuple[Any, ...] | None:
    """Sparse matrices of shape (texts, features), rows of length one: of ``seen``, then of each ``asked``.

    The words and their weights come from ``seen``. None where scikit-learn is missing, or where no text has a word.
    """
    try:
        found = Words.learn(seen, features)
    except ImportError:
        return None
    return None if found is None else (found[1], *(found[0].weigh(texts) for texts in asked))
