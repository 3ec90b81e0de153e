"""TF-IDF weights and a linear model on them: for a label, for any number of labels, or for a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from modelnook.classic.base import Classic, sample
from modelnook.classic.linear import Linear, log_shares
from modelnook.classic.words import MOST_FEATURES, Words, features_for
from modelnook.tasks.spec import Columns, Spec

__all__ = ["Tfidf", "kind_of"]

STRENGTH = 10.0


def kind_of(spec: Spec) -> str:
    """What it is for in a task: ``one`` label, ``each`` label by itself, or a number by ``ridge``."""
    row = next((name for name in spec.baselines if name.partition(":")[0] == Tfidf.name), "")
    return row.partition(":")[2] or "one"


class Tfidf(Classic):
    """Logistic (or ridge) regression on words and pairs of words; characters where a script has no spaces."""

    name = "tfidf"

    def __init__(self, words: Words, linear: Linear, kind: str, classes: NDArray[np.int64], width: int) -> None:
        self.words, self.linear, self.kind, self.classes, self.width = words, linear, kind, classes, width

    @classmethod
    def learn(cls, spec: Spec, train: Columns, labels: Sequence[str], *, most: int | None = None) -> Self | None:
        """See :meth:`Classic.learn`."""
        texts, known, kind = spec.texts(train), np.asarray(spec.truth(train, labels)), kind_of(spec)
        if texts is None or (kind == "one" and len(set(known.tolist())) < 2):
            return None
        taken = sample(len(texts), most)
        texts, known = [texts[i] for i in taken.tolist()], known[taken]
        made = Words.learn(texts, features_for(len(labels)) if kind == "one" else MOST_FEATURES)
        if made is None:
            return None
        words, seen = made
        classes = np.arange(len(labels), dtype=np.int64)
        if kind == "one":
            linear, classes = Linear.logistic(seen, known, strength=STRENGTH)
        else:
            linear = Linear.each(seen, known) if kind == "each" else Linear.ridge(seen, known)
        return cls(words, linear, kind, classes, len(labels))

    def outputs(self, spec: Spec, columns: Columns) -> NDArray[Any]:
        """Log probabilities (rows, classes), logits (rows, labels), or numbers in the label's unit (rows,)."""
        margins = self.linear(self.words.weigh(spec.texts(columns) or []))
        if self.kind == "one":
            return log_shares(margins, self.classes, self.width)
        return margins if self.kind == "each" else margins[:, 0].astype(np.float64)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """See :meth:`Classic.arrays`."""
        return {
            "words.idf": self.words.idf,
            "linear.coef": self.linear.coef,
            "linear.intercept": self.linear.intercept,
            "classes": self.classes,
        }

    def said(self) -> dict[str, Any]:
        """See :meth:`Classic.said`."""
        return {"kind": self.kind, "by": self.words.by, "outputs": self.width, "terms": self.words.terms}

    @classmethod
    def of(cls, said: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """See :meth:`Classic.of`."""
        words = Words.of(said["terms"], arrays["words.idf"], said["by"])
        linear = Linear(arrays["linear.coef"], arrays["linear.intercept"])
        return cls(words, linear, said["kind"], arrays["classes"], int(said["outputs"]))

    def layers(self) -> str:
        """See :meth:`Classic.layers`."""
        terms, outputs = self.linear.coef.shape
        shape = "characters, 1 to 3" if self.words.by == "char" else "words, 1 to 2"
        last = "└── ridge" if self.kind == "ridge" else "└── logistic"
        return f"tfidf\n├── terms  {terms} ({shape})\n├── idf  {terms}\n{last}  {terms} × {outputs}"
