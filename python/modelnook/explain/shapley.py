"""Shapley values: what a word or column adds on average, over all orders in which they could come in.

Shapley 1953; of predictions Štrumbelj and Kononenko 2014, Lundberg and Lee 2017. Few units are reckoned exactly, others
from random orders (Castro, Gómez and Tejada 2009), each taken forwards and backwards: errors of the two halves cancel
(antithetic pairs: Mitchell et al. 2022). Together the values are the answer less that to nothing.

Words of a long text come in span by span, the orders of Owen's value (1977): the sums still come out.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from modelnook.explain.base import Explainer, Game, Question, Shares
from modelnook.explain.spans import grouped, singles

__all__ = ["LEAST_PAIRS", "Shapley", "exact", "sampled"]

LEAST_PAIRS = 4
"""Pairs of orders from which a mean and its error are told; where predictions don't suffice for so many, words are
taken together."""

Values = NDArray[np.float64]
Half = Generator[NDArray[np.bool_], Values, tuple[Values, Values]]


class Shapley(Explainer):
    """Fair shares with their standard errors."""

    name = "shapley"

    def play(self, asked: Question) -> Game:
        """See :meth:`Explainer.play`."""
        count, draw = len(asked.row.units), np.random.default_rng(asked.seed)
        spans = singles(count)
        (base,) = (yield np.zeros((1, count), dtype=bool)).tolist()
        left = asked.most - 2
        if 2**count - 2 <= left:
            scores = yield from exact(count, asked.value, base)
            return Shares(spans, scores, asked.value, base, np.zeros(count))
        if _orders(count, left) >= LEAST_PAIRS or not asked.row.joins:
            if not _orders(count, left):
                raise asked.too_few(2 * count)
            unions = [[span] for span in spans]
        else:
            # Half of the spans that a half of the predictions would do for: the rest is for the finer ones.
            spans = grouped(asked.row.units, max(2, left // (8 * LEAST_PAIRS)))
            coarse, _ = yield from sampled([[span] for span in spans], count, left // 2, draw, asked.value, base)
            left -= left // 2
            unions = _finer(spans, coarse, left // (2 * LEAST_PAIRS) + 1)
        scores, errors = yield from sampled(unions, count, left, draw, asked.value, base)
        return Shares([span for union in unions for span in union], scores, asked.value, base, errors)


def exact(count: int, value: float, base: float) -> Generator[NDArray[np.bool_], Values, Values]:
    """The values of ``count`` units, asking for all their subsets but the first and the last."""
    if not count:
        return np.empty(0)
    numbers = np.arange(2**count)
    stays = (numbers[:, None] >> np.arange(count)) & 1 == 1
    between = (yield stays[1:-1]) if count > 1 else np.empty(0)
    values = np.concatenate([[base], between, [value]])
    sizes = stays.sum(axis=1)
    weights = np.array([1 / (count * math.comb(count - 1, size)) for size in range(count)])
    found = np.empty(count)
    for unit in range(count):
        without = numbers[~stays[:, unit]]
        found[unit] = weights[sizes[without]] @ (values[without + (1 << unit)] - values[without])
    return found


def sampled(
    unions: Sequence[Sequence[range]], count: int, most: int, draw: np.random.Generator, value: float, base: float
) -> Half:
    """``(values, standard errors)`` of the spans of all unions, one after another; a union's come in together.

    Args:
        count: units in all.
        most: predictions at most.
    """
    players = [span for union in unions for span in union]
    if len(players) == 1:
        return np.array([value - base]), np.zeros(1)
    pairs = max(1, _orders(len(players), most))
    orders = np.array([order for _ in range(pairs) for order in _pair(unions, draw)], dtype=np.int64)
    came = np.zeros((len(orders), len(players), count), dtype=bool)
    for place in range(len(players)):
        came[:, place] = came[:, place - 1] if place else False
        for order, player in enumerate(orders[:, place]):
            came[order, place, players[player].start : players[player].stop] = True
    asked, where = np.unique(came[:, :-1].reshape(-1, count), axis=0, return_inverse=True)
    said = yield asked
    between = said[where.reshape(-1)].reshape(len(orders), len(players) - 1)
    ends = np.full((len(orders), 1), base), np.full((len(orders), 1), value)
    steps = np.diff(np.concatenate([ends[0], between, ends[1]], axis=1), axis=1)
    added = np.empty_like(steps)
    np.put_along_axis(added, orders, steps, axis=1)
    means = added.reshape(pairs, 2, len(players)).mean(axis=1)
    spread = means.std(axis=0, ddof=1) if pairs > 1 else np.full(len(players), math.nan)
    return means.mean(axis=0), spread / math.sqrt(pairs)


def _orders(players: int, most: int) -> int:
    """Pairs of orders that so many predictions suffice for."""
    return most // max(1, 2 * (players - 1))


def _pair(unions: Sequence[Sequence[range]], draw: np.random.Generator) -> tuple[list[int], list[int]]:
    """A random order of the spans' numbers in which a union's stand together, and the same backwards."""
    firsts = np.cumsum([0, *(len(union) for union in unions)])
    order = [
        int(firsts[union] + member)
        for union in draw.permutation(len(unions)).tolist()
        for member in draw.permutation(len(unions[union])).tolist()
    ]
    return order, order[::-1]


def _finer(spans: list[range], scores: Values, most: int) -> list[list[range]]:
    """The spans that count most in parts, single words where that can be, as long as ``most`` players hold them all."""
    found = [[span] for span in spans]
    left = most - len(spans)
    for at in np.argsort(-np.abs(scores), kind="stable").tolist():
        span = spans[at]
        parts = min(len(span), left + 1)
        if parts > 1:
            edges = [span.start + round(part * len(span) / parts) for part in range(parts + 1)]
            found[at] = [range(a, b) for a, b in pairwise(edges)]
            left -= parts - 1
    return found
