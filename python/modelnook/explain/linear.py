"""What each word weighs in a TF-IDF model: the products of its weights and coefficients; nothing is asked of the model.

For one of two labels, for labels that are each decided by itself, for a number: the answer is a sum of such products,
and that is all there is to it. Of more than two labels the log-odds bend; the coefficients are then their mean
slope on the way from an empty text to this one (integrated gradients: Sundararajan, Taly and Yan 2017), so that the
products add up all the same.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from modelnook.classic.base import LEAST
from modelnook.classic.tfidf import Tfidf
from modelnook.domain.errors import UnsupportedError
from modelnook.explain.base import Explainer, Game, Question, Shares
from modelnook.explain.spans import singles
from modelnook.explain.units import Words
from modelnook.runtime.base import Runtime
from modelnook.tasks.spec import Spec

__all__ = ["Linear"]

POINTS = 64
"""Of the path to a text; Gauss and Legendre's are good for some fifteen digits of so smooth a curve."""


class Linear(Explainer):
    """The model's own terms; a pair of words is shared by both, a term that occurs twice by its occurrences."""

    name = "linear"

    @classmethod
    def check(cls, runtime: Runtime, spec: Spec) -> None:
        """See :meth:`Explainer.check`."""
        if not isinstance(getattr(runtime, "model", None), Tfidf):
            raise UnsupportedError("explain.not_linear", method=cls.name, runtime=runtime.name)

    @classmethod
    def asks(cls, units: int, most: int) -> int:
        """See :meth:`Explainer.asks`."""
        return 1

    def play(self, asked: Question) -> Game:
        """See :meth:`Explainer.play`; nothing is asked for."""
        yield from ()
        model: Tfidf = asked.runtime.model  # type: ignore[attr-defined]
        row = cast(Words, asked.row)
        # As the model reads them: all texts in one.
        whole = " ".join(row.given.values())
        weights = model.words.weigh([whole])
        slopes, base, value = _slopes(model, weights, _place(asked))
        terms = dict(zip(weights.indices.tolist(), (weights.data * slopes).tolist(), strict=True))
        starts, shift = [], 0
        for column, text in row.given.items():
            starts += [shift + place for place in row.places(column)]
            shift += len(text) + 1
        scores = np.zeros(len(row.units))
        found = model.words.places(whole) if starts else {}
        for feature, occurrences in found.items():
            for places in occurrences:
                share = terms.get(feature, 0.0) / len(occurrences) / len(places)
                np.add.at(scores, (np.searchsorted(starts, places, side="right") - 1).clip(0), share)
        return Shares(singles(len(row.units)), scores, value, base)


def _place(asked: Question) -> int:
    """The number of the explained output."""
    return asked.runtime.labels.index(asked.label) if asked.label is not None else 0


def _slopes(model: Tfidf, weights: Any, place: int) -> tuple[NDArray[np.float64], float, float]:
    """``(coefficient of each term of a text, the answer to no text, the answer to it)``."""
    coef = np.asarray(model.linear.coef[weights.indices], dtype=np.float64)
    start = np.asarray(model.linear.intercept, dtype=np.float64)
    if model.kind != "one":
        slopes = coef[:, place]
        return slopes, float(start[place]), float(start[place] + weights.data @ slopes)
    if coef.shape[1] == 1:
        coef, start = np.hstack([np.zeros_like(coef), coef]), np.concatenate([[0.0], start])
    if place not in model.classes:
        # Training never saw the label: nothing speaks for it.
        none = math.log(LEAST / (1 - LEAST))
        return np.zeros(len(coef)), none, none
    one = int(np.flatnonzero(model.classes == place)[0])
    others = [i for i in range(coef.shape[1]) if i != one]
    points, shares = np.polynomial.legendre.leggauss(POINTS)
    way = np.concatenate([[0.0], (points + 1) / 2, [1.0]])
    margins = start + way[:, None] * (weights.data.astype(np.float64) @ coef)
    rest = np.logaddexp.reduce(margins[:, others], axis=1)
    odds = margins[:, one] - rest
    pull = np.exp(margins[1:-1][:, others] - rest[1:-1, None])
    mean = (shares / 2) @ pull
    return coef[:, one] - coef[:, others] @ mean, float(odds[0]), float(odds[-1])
