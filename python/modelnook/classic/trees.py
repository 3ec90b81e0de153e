"""Gradient-boosted trees on the columns of a table as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from modelnook.classic.base import Classic, sample
from modelnook.classic.linear import log_shares
from modelnook.domain.dataset import FEATURE
from modelnook.domain.errors import DataError, UnsupportedError
from modelnook.tasks.spec import Columns, Spec

__all__ = ["LEFT_OUT", "Column", "Trees"]

MOST_WORDS = 250
"""Words of a column that are told apart, the commonest; scikit-learn's trees take 255 at most."""
SEED = 13
CHECKED = 200
"""Training rows on which its answers are compared with scikit-learn's own."""
AT_ONCE = 2_000_000
"""Rows x trees that are walked through at a time."""

Nodes = dict[str, NDArray[Any]]


class _LeftOut:
    """See :data:`LEFT_OUT`."""

    def __repr__(self) -> str:
        return "LEFT_OUT"


LEFT_OUT = _LeftOut()
"""Stands for a cell that is to have no say: trees then give the mean of both ways, by the training rows that went each.

That is how path-dependent TreeSHAP leaves a column out (Lundberg et al. 2020, "From local explanations to global
understanding with explainable AI for trees"). A missing value is another thing: it has a way of its own.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name, and its words in the order of their numbers; None where its values are numbers."""

    name: str
    words: tuple[str, ...] | None

    @classmethod
    def of(cls, name: str, values: Sequence[Any]) -> Column:
        """What training values say."""
        known = [v for v in values if not _missing(v)]
        if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in known):
            return cls(name, None)
        texts, counts = np.unique([str(v) for v in known], return_counts=True)
        order = np.argsort(-counts, kind="stable")[:MOST_WORDS]
        return cls(name, tuple(str(texts[i]) for i in order))

    def numbers(self, values: Sequence[Any], *, strict: bool = False) -> NDArray[np.float64]:
        """Values as numbers; what is missing or new is NaN.

        Raises:
            DataError: a text where training had numbers, if ``strict``; its row is named.
        """
        if self.words is not None:
            place = {word: float(i) for i, word in enumerate(self.words)}
            return np.array([np.nan if _missing(v) else place.get(str(v), np.nan) for v in values], dtype=np.float64)
        found = np.full(len(values), np.nan)
        for row, value in enumerate(values):
            try:
                found[row] = np.nan if _missing(value) or not str(value).strip() else float(value)
            except (TypeError, ValueError):
                if strict:
                    raise DataError("task.not_a_number", row=row, column=self.name, value=str(value)[:40]) from None
        return found


def _missing(value: Any) -> bool:
    return value is None or value is LEFT_OUT or value != value


class Trees(Classic):
    """scikit-learn's histogram-based gradient boosting, its trees kept as arrays.

    All trees' nodes stand in one array; a leaf leads to itself, so that every row takes as many steps as the deepest
    tree has levels.
    """

    name = "trees"

    def __init__(
        self,
        columns: Sequence[Column],
        nodes: Nodes,
        start: NDArray[np.float64],
        depth: int,
        classes: NDArray[np.int64],
        width: int,
    ) -> None:
        self.columns, self.nodes, self.start = tuple(columns), nodes, start
        self.depth, self.classes, self.width = depth, classes, width

    @classmethod
    def learn(cls, spec: Spec, train: Columns, labels: Sequence[str], *, most: int | None = None) -> Self | None:
        """See :meth:`Classic.learn`.

        Raises:
            UnsupportedError: a release of scikit-learn whose trees can't be read.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        known = np.asarray(spec.truth(train, labels))
        taken = sample(len(known), most)
        known = known[taken]
        values = {
            role.removeprefix(FEATURE): [cells[i] for i in taken.tolist()]
            for role, cells in train.items()
            if role.startswith(FEATURE)
        }
        columns = [Column.of(name, cells) for name, cells in values.items()]
        # scikit-learn moves columns of words to the front: there from the start, their numbers are those of its trees.
        columns.sort(key=lambda column: column.words is None)
        pairs = [(column, column.numbers(values[column.name])) for column in columns]
        pairs = [(c, x) for c, x in pairs if len(np.unique(x, equal_nan=True)) > 1]
        if not pairs or len(set(known.tolist())) < 2:
            return None
        seen = np.stack([x for _, x in pairs], axis=1)
        words = np.array([c.words is not None for c, _ in pairs])
        model = HistGradientBoostingClassifier(categorical_features=words, random_state=SEED).fit(seen, known)
        nodes, depth = _nodes(model)
        start = np.asarray(model._baseline_prediction, dtype=np.float64).ravel()
        classes = np.asarray(model.classes_, dtype=np.int64)
        made = cls([c for c, _ in pairs], nodes, start, depth, classes, len(labels))
        _check(made, model, seen[:CHECKED])
        return made

    def outputs(self, spec: Spec, columns: Columns, *, strict: bool = True) -> NDArray[np.float32]:
        """Log probabilities, shape (rows, classes).

        Raises:
            DataError: a column that isn't there; a text where training had numbers, unless ``strict`` is False.
        """
        rows = len(next(iter(columns.values()), ()))
        if not rows:
            return np.empty((0, self.width), dtype=np.float32)
        gone = [c.name for c in self.columns if FEATURE + c.name not in columns]
        if gone:
            known = [role.removeprefix(FEATURE) for role in columns if role.startswith(FEATURE)]
            raise DataError("task.missing_columns", columns=", ".join(gone[:10]), known=", ".join(known[:10]))
        asked = np.stack([c.numbers(columns[FEATURE + c.name], strict=strict) for c in self.columns], axis=1)
        out = np.isnan(asked)
        if out.any():
            # Of these cells alone it is to be known whether they are missing or left out.
            out = np.array([[v is LEFT_OUT for v in columns[FEATURE + c.name]] for c in self.columns], dtype=bool).T
        margins = self.means(asked, out) if out.any() else self.margins(asked)
        return log_shares(margins, self.classes, self.width)

    @property
    def averages(self) -> bool:
        """Whether it knows how many training rows went each way: models of before don't."""
        return "share" in self.nodes

    def margins(self, asked: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sums of the leaves' values, shape (rows, classes), of two classes (rows, 1)."""
        part = max(1, AT_ONCE // max(1, len(self.nodes["root"])))
        return np.concatenate([self._walk(asked[i : i + part]) for i in range(0, len(asked), part)])

    def means(self, asked: NDArray[np.float64], gone: NDArray[np.bool_]) -> NDArray[np.float64]:
        """:meth:`margins` where some columns of a row are left out, see :data:`LEFT_OUT`."""
        part = max(1, AT_ONCE // max(1, len(self.nodes["value"])))
        return np.concatenate([self._mean(asked[i : i + part], gone[i : i + part]) for i in range(0, len(asked), part)])

    def _mean(self, asked: NDArray[np.float64], gone: NDArray[np.bool_]) -> NDArray[np.float64]:
        nodes = self.nodes
        inner = np.flatnonzero(nodes["left"] != np.arange(len(nodes["left"])))
        feature, left, right = (nodes[name][inner] for name in ("feature", "left", "right"))
        goes = self._left(asked[:, feature], np.broadcast_to(inner, (len(asked), len(inner))))
        share = np.where(gone[:, feature], nodes["share"][inner], goes)
        found = np.repeat(nodes["value"][None], len(asked), axis=0)
        # Each round a level higher is right, up to the roots.
        for _ in range(self.depth):
            found[:, inner] = share * found[:, left] + (1 - share) * found[:, right]
        return self._sums(found[:, nodes["root"]])

    def _walk(self, asked: NDArray[np.float64]) -> NDArray[np.float64]:
        nodes = self.nodes
        rows = np.arange(len(asked))[:, None]
        at = np.broadcast_to(nodes["root"], (len(asked), len(nodes["root"])))
        for _ in range(self.depth):
            left = self._left(asked[rows, nodes["feature"][at]], at)
            at = np.where(left, nodes["left"][at], nodes["right"][at])
        return self._sums(nodes["value"][at])

    def _left(self, value: NDArray[np.float64], at: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether values go to the left at their nodes."""
        nodes = self.nodes
        left = value <= nodes["threshold"][at]
        if len(nodes["words"]):
            # A word's bit says left; numbers of words are whole and stand in eight of 32 bits each.
            code = np.where(np.isfinite(value), value, 0).astype(np.int64).clip(0, 255)
            bits = nodes["words"][nodes["bits"][at].clip(0), code // 32].view(np.uint32)
            left = np.where(nodes["bits"][at] >= 0, (bits >> (code % 32).astype(np.uint32)) & 1 == 1, left)
        found: NDArray[np.bool_] = np.where(np.isnan(value), nodes["missing_left"][at], left)
        return found

    def _sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Margins from the values of each row's trees."""
        leaves = values.reshape(len(values), -1, len(self.start))
        # One after another: a sum in pairs would depend on how many rows stand beside one.
        first = np.broadcast_to(self.start, (len(values), 1, len(self.start)))
        found: NDArray[np.float64] = np.add.accumulate(np.concatenate([first, leaves], axis=1), axis=1)[:, -1]
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """See :meth:`Classic.arrays`."""
        return {**{f"trees.{n}": v for n, v in self.nodes.items()}, "start": self.start, "classes": self.classes}

    def said(self) -> dict[str, Any]:
        """See :meth:`Classic.said`."""
        columns = [{"name": c.name, "words": None if c.words is None else list(c.words)} for c in self.columns]
        return {"outputs": self.width, "depth": self.depth, "columns": columns}

    @classmethod
    def of(cls, said: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """See :meth:`Classic.of`."""
        columns = [Column(c["name"], None if c["words"] is None else tuple(c["words"])) for c in said["columns"]]
        nodes = {n.removeprefix("trees."): v for n, v in arrays.items() if n.startswith("trees.")}
        return cls(columns, nodes, arrays["start"], int(said["depth"]), arrays["classes"], int(said["outputs"]))

    def layers(self) -> str:
        """See :meth:`Classic.layers`."""
        words = sum(c.words is not None for c in self.columns)
        return (
            f"trees\n├── columns  {len(self.columns)} ({words} of words)\n├── trees  {len(self.nodes['root'])}, "
            f"{self.depth} levels at most\n└── nodes  {len(self.nodes['value'])}"
        )


def _nodes(model: Any) -> tuple[Nodes, int]:
    """Every tree's nodes in one array each, and the deepest tree's levels."""
    trees = [tree for step in model._predictors for tree in step]
    sizes = np.array([len(tree.nodes) for tree in trees])
    root = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    all_nodes = np.concatenate([tree.nodes for tree in trees])
    shift = np.repeat(root, sizes)
    leaf = all_nodes["is_leaf"].astype(bool)
    here = np.arange(len(all_nodes))
    words = [tree.raw_left_cat_bitsets for tree in trees]
    bits_root = np.repeat(np.concatenate([[0], np.cumsum([len(w) for w in words])[:-1]]), sizes)
    left, right = (np.where(leaf, here, all_nodes[side] + shift) for side in ("left", "right"))
    count = all_nodes["count"].astype(np.float64)
    split = all_nodes["is_categorical"].astype(bool) & ~leaf
    found: Nodes = {
        "root": root.astype(np.int32),
        "feature": np.where(leaf, 0, all_nodes["feature_idx"]).astype(np.int32),
        "threshold": all_nodes["num_threshold"].astype(np.float64),
        "value": all_nodes["value"].astype(np.float64),
        "left": left.astype(np.int32),
        "right": right.astype(np.int32),
        "share": count[left] / np.maximum(1, count[left] + np.where(leaf, 0, count[right])),
        "missing_left": all_nodes["missing_go_to_left"].astype(bool),
        "bits": np.where(split, all_nodes["bitset_idx"] + bits_root, -1).astype(np.int32),
        "words": np.concatenate([*words, np.empty((0, 8), dtype=np.uint32)]).astype(np.uint32).view(np.int32),
    }
    return found, int(all_nodes["depth"].max())


def _check(made: Trees, model: Any, seen: NDArray[np.float64]) -> None:
    """Refuse trees that were read otherwise than scikit-learn reads them: how it keeps them is its own affair."""
    import sklearn

    shares = np.exp(log_shares(made.margins(seen), np.arange(len(made.classes)), len(made.classes)))
    if not np.allclose(shares, model.predict_proba(seen), atol=1e-5):
        raise UnsupportedError("measure.trees_unread", version=sklearn.__version__)
