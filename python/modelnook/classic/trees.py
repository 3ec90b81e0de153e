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
from modelnook.tasks.base import Columns, Spec

__all__ = ["Column", "Trees"]

MOST_WORDS = 250
"""Words of a column that are told apart, the commonest; scikit-learn's trees take 255 at most."""
SEED = 13
CHECKED = 200
"""Training rows on which its answers are compared with scikit-learn's own."""
AT_ONCE = 2_000_000
"""Rows x trees that are walked through at a time."""

Nodes = dict[str, NDArray[Any]]


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
                found[row] = np.nan if _missing(value) or value == "" else float(value)
            except (TypeError, ValueError):
                if strict:
                    raise DataError("task.not_a_number", row=row, column=self.name, value=str(value)[:40]) from None
        return found


def _missing(value: Any) -> bool:
    return value is None or value != value


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
        return log_shares(self.margins(asked), self.classes, self.width)

    def margins(self, asked: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sums of the leaves' values, shape (rows, classes), of two classes (rows, 1)."""
        part = max(1, AT_ONCE // max(1, len(self.nodes["root"])))
        return np.concatenate([self._walk(asked[i : i + part]) for i in range(0, len(asked), part)])

    def _walk(self, asked: NDArray[np.float64]) -> NDArray[np.float64]:
        nodes = self.nodes
        rows = np.arange(len(asked))[:, None]
        at = np.broadcast_to(nodes["root"], (len(asked), len(nodes["root"])))
        for _ in range(self.depth):
            value = asked[rows, nodes["feature"][at]]
            missing = np.isnan(value)
            left = value <= nodes["threshold"][at]
            if len(nodes["words"]):
                # A word's bit says left; numbers of words are whole and stand in eight of 32 bits each.
                code = np.where(np.isfinite(value), value, 0).astype(np.int64).clip(0, 255)
                bits = nodes["words"][nodes["bits"][at].clip(0), code // 32].view(np.uint32)
                left = np.where(nodes["bits"][at] >= 0, (bits >> (code % 32).astype(np.uint32)) & 1 == 1, left)
            left = np.where(missing, nodes["missing_left"][at], left)
            at = np.where(left, nodes["left"][at], nodes["right"][at])
        leaves = nodes["value"][at].reshape(len(asked), -1, len(self.start))
        # One after another: a sum in pairs would depend on how many rows stand beside one.
        first = np.broadcast_to(self.start, (len(asked), 1, len(self.start)))
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
    split = all_nodes["is_categorical"].astype(bool) & ~leaf
    found: Nodes = {
        "root": root.astype(np.int32),
        "feature": np.where(leaf, 0, all_nodes["feature_idx"]).astype(np.int32),
        "threshold": all_nodes["num_threshold"].astype(np.float64),
        "value": all_nodes["value"].astype(np.float64),
        "left": np.where(leaf, here, all_nodes["left"] + shift).astype(np.int32),
        "right": np.where(leaf, here, all_nodes["right"] + shift).astype(np.int32),
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
