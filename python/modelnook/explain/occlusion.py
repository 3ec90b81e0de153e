"""Occlusion: how far the answer falls where a word or column is left out.

Zeiler and Fergus 2014 for images; "leave one out" and "erasure" (Li, Monroe and Jurafsky 2016) for words. One
prediction a word, and easily read; but where two words say the same, neither is missed, and both scores are small.
"""

from __future__ import annotations

import numpy as np

from modelnook.explain.base import Explainer, Game, Question, Shares
from modelnook.explain.spans import grouped, singles

__all__ = ["Occlusion"]


class Occlusion(Explainer):
    """Each unit left out in turn. Of a long text first whole spans, then the words of those that count most."""

    name = "occlusion"

    @classmethod
    def asks(cls, units: int, most: int) -> int:
        """See :meth:`Explainer.asks`."""
        return min(most, units + 2)

    def play(self, asked: Question) -> Game:
        """See :meth:`Explainer.play`."""
        # Beside the whole input and the empty one.
        units, left = asked.row.units, asked.most - 2
        count = len(units)
        spans = singles(count)
        if count > left:
            if not asked.row.joins:
                raise asked.too_few(count + 2)
            # The other half is for the words of the spans that count.
            spans = grouped(units, max(1, left // 2))
        base, *without = yield np.concatenate([np.zeros((1, count), dtype=bool), _without(spans, count)])
        scores = [asked.value - float(v) for v in without]
        left -= len(spans)
        split = []
        for at in sorted(range(len(spans)), key=lambda i: -abs(scores[i])):
            if 1 < len(spans[at]) <= left:
                split.append(at)
                left -= len(spans[at])
        finer = [range(i, i + 1) for at in split for i in spans[at]]
        answers = (yield _without(finer, count)) if finer else np.empty(0)
        kept = [(span, score) for at, (span, score) in enumerate(zip(spans, scores, strict=True)) if at not in split]
        kept += [(span, asked.value - float(v)) for span, v in zip(finer, answers, strict=True)]
        kept.sort(key=lambda pair: pair[0].start)
        found = np.array([score for _, score in kept], dtype=np.float64)
        return Shares([span for span, _ in kept], found, asked.value, float(base))


def _without(spans: list[range], count: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    stays = np.ones((len(spans), count), dtype=bool)
    for at, span in enumerate(spans):
        stays[at, span.start : span.stop] = False
    return stays
