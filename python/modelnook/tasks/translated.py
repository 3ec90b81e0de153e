"""How near a written text is to the one that was wanted: chrF, BLEU and ROUGE as sums over rows.

BLEU's and chrF's sums are sacrebleu's own (Post 2018, A Call for Clarity in Reporting BLEU Scores; Popović 2015): what
it counts of each row is added up, and a corpus's score follows from the sums. ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004)
are rouge-score's, means over rows. Texts without blanks between words are compared by characters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BLEU", "CHRF", "ROUGE", "bleu", "chrf", "counts", "tokenizer_for", "words"]

BLEU, CHRF = 10, 18
"""Numbers of a row for each: two lengths and four matches of four; matches of six orders and what they are out of."""
ROUGE = ("rouge1", "rouge2", "rougeL")
"""A number of a row each."""

# Chinese and Japanese characters, kana, Thai, Lao, Burmese, Khmer.
_WIDE = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_TOKEN = re.compile(rf"{_WIDE.pattern}|[^\W_]+")

MUCH = 0.2
"""The share of characters of a script from which on texts are taken to be written in it."""


def tokenizer_for(references: Sequence[str]) -> str:
    """sacrebleu's tokenizer for texts like these: ``zh``, ``char`` for others without blanks, else ``13a``.

    >>> tokenizer_for(["我们在公园里。"]), tokenizer_for(["We are in the park."]), tokenizer_for(["公園にいます。"])
    ('zh', '13a', 'char')
    """
    sample = "".join(references[:: max(1, len(references) // 500)])[:100_000]
    letters = max(1, sum(not c.isspace() for c in sample))
    if len(_WIDE.findall(sample)) <= MUCH * letters:
        return "13a"
    only_han = len(_HAN.findall(sample)) > MUCH * letters and len(_KANA.findall(sample)) < 0.05 * letters
    return "zh" if only_han else "char"


def words(text: str) -> list[str]:
    """What ROUGE compares: words in small letters, characters where a script has no blanks.

    >>> words("We met in 北京, twice.")
    ['we', 'met', 'in', '北', '京', 'twice']
    """
    return _TOKEN.findall(text.lower())


class _Words:
    """The form in which rouge-score takes a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


def counts(found: Sequence[str], wanted: Sequence[str]) -> NDArray[np.float64]:
    """What each row adds up to: CHRF numbers for chrF, BLEU for BLEU, the F of each of ROUGE; shape (rows, 31)."""
    import numpy as np
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.bleu import BLEU as Bleu
    from sacrebleu.metrics.chrf import CHRF as Chrf

    if not len(found):
        return np.zeros((0, CHRF + BLEU + len(ROUGE)))
    hypotheses, references = list(found), [list(wanted)]
    letters = Chrf()._extract_corpus_statistics(hypotheses, references)
    tokens = Bleu(tokenize=tokenizer_for(wanted), force=True)._extract_corpus_statistics(hypotheses, references)
    scorer = RougeScorer(list(ROUGE), tokenizer=_Words())
    scores = [scorer.score(one, other) for one, other in zip(wanted, found, strict=True)]
    shared = [[score[name].fmeasure for name in ROUGE] for score in scores]
    return np.concatenate([np.array(letters, float), np.array(tokens, float), np.array(shared)], axis=1)


def chrf(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """chrF2 of sums of shape (…, 18), from 0 to 1: what sacrebleu says, by 100."""
    import numpy as np

    hypothesis, reference, match = (sums[..., i::3] for i in range(3))
    there = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(there.sum(axis=-1), 1)
    precision = np.where(there, match / np.maximum(hypothesis, 1), 0).sum(axis=-1) / orders
    recall = np.where(there, match / np.maximum(reference, 1), 0).sum(axis=-1) / orders
    below = 4 * precision + recall
    return np.where(below > 0, 5 * precision * recall / np.where(below > 0, below, 1), 0.0)


def bleu(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """BLEU of sums of shape (…, 10), from 0 to 1: what sacrebleu says, by 100; an order without a match is smoothed."""
    import numpy as np

    written, wanted, match, total = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:10]
    logs = np.zeros(sums.shape[:-1])
    halvings = np.zeros(sums.shape[:-1])
    for order in range(4):
        hit, out_of = match[..., order], np.maximum(total[..., order], 1)
        halvings += hit == 0
        logs += np.log(np.where(hit > 0, hit, 0.5**halvings) / out_of)
    short = np.minimum(0.0, 1 - wanted / np.maximum(written, 1))
    some = (match.sum(axis=-1) > 0) & (total > 0).all(axis=-1)
    return np.where(some, np.exp(short + logs / 4), 0.0)
