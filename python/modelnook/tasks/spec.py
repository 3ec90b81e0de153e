"""The light half of a task: its columns, checks, metrics and what ``predict`` answers.

Outputs are what a model gives for a row before anybody reads it: logits of shape (classes,) for a classifier, (words,
classes) for words, a text where the model writes. All rows together are one array where they are alike, else a list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from modelnook.domain.errors import DataError, UnsupportedError
from modelnook.domain.event import Warned
from modelnook.domain.run import LOWER_IS_BETTER
from modelnook.domain.table import Table
from modelnook.tasks.bootstrap import resample
from modelnook.tasks.text import as_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelnook.tasks.heads import Base

__all__ = ["ADAPTERS", "Columns", "Spec", "require"]

Columns = Mapping[str, Sequence[Any]]

ADAPTERS = ("lora", "dora")
"""The fine-tuning methods that take any model with linear layers."""


class Spec(ABC):
    """The light half: standard library and numpy only, so that magics, plans and the server may load it."""

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    """The column roles that ``predict`` needs, e.g. ``("text",)``."""
    targets: ClassVar[tuple[str, ...]]
    """The roles that training and scoring need beside them, e.g. ``("label",)``."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Further inputs, used where a table has them by name."""
    features: ClassVar[bool] = False
    """Whether every column that plays no other part is an input, under the role ``feature:NAME``."""
    forms: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """The roles of each of several forms that a training table may have, the most telling first; see :meth:`shapes`."""
    scored: ClassVar[tuple[str, ...]] = ()
    """Targets that the model itself must see to be scored, e.g. the completion whose loss is measured."""
    metrics: ClassVar[tuple[str, ...]]
    """Every metric name; the first is the primary metric. Less is better for those in ``LOWER_IS_BETTER``."""
    predicts: ClassVar[tuple[str, ...]]
    """The columns of ``predict``."""
    methods: ClassVar[tuple[str, ...]] = ("full", *ADAPTERS, "head", "last-k")
    """The fine-tuning methods that are tested with it; others are refused by name."""
    longer: ClassVar[int] = 1
    """How many times ``max_length``, which is of what is read, a text of :meth:`written` may be long."""
    windows: ClassVar[bool] = False
    """Whether rows longer than ``max_length`` are read in several parts, so that nothing of them is lost."""
    keeps_end: ClassVar[bool] = False
    """Whether a row's end says as much as its start, so that time alone is no reason to cut it."""
    output_share: ClassVar[float] = 0.0
    """The share of a row's tokens that are outputs as well, each a score for every word of the vocabulary."""
    packs: ClassVar[bool] = False
    """Whether several rows may be trained on in one sequence (``packing``)."""
    autos: ClassVar[tuple[str, ...]] = ()
    """The automatic classes of transformers of which a base must have one; empty where anything may."""
    no_head: ClassVar[str] = "task.no_head"
    """The message for a base that can't do the task; it says which can."""
    baselines: ClassVar[tuple[str, ...]] = ()
    """Rows of :data:`modelnook.measure.baselines.BASELINES`: what is measured beside a model."""

    @classmethod
    def whole(cls) -> bool:
        """Whether rows are texts that are read at once: a runtime needs no heavy half to make tokens of them."""
        return not cls.windows and not set(cls.inputs) & {"image", "audio"}

    @property
    def roles(self) -> tuple[str, ...]:
        """All that a training table must have, in the order in which they are asked for."""
        return self.inputs + self.targets

    def shapes(self, *, asked: bool = False) -> tuple[tuple[str, ...], ...]:
        """Sets of roles, of which a table must have one: to train on, or (``asked``) to be answered."""
        forms = self.forms or (self.roles,)
        return tuple(tuple(r for r in form if r not in self.targets) for form in forms) if asked else forms

    @property
    def scores_texts(self) -> bool:
        """Whether a model can be scored by rows without targets: by how well it foretells their own words."""
        return any(not set(form) & set(self.targets) for form in self.shapes())

    @property
    def read(self) -> tuple[str, ...]:
        """Every role that the model may be given when it is asked, each once."""
        return tuple(
            dict.fromkeys((*self.inputs, *(r for form in self.shapes(asked=True) for r in form), *self.optional))
        )

    @abstractmethod
    def check(self, columns: Columns) -> list[Warned]:
        """Problems of role -> values that make training impossible raise DataError; the rest are returned."""

    def check_inputs(self, columns: Columns) -> None:
        """Raise DataError for a row whose inputs can't be read whole: to train on, to validate or to measure."""

    def check_base(self, base: Base, columns: Columns, *, packing: bool = False) -> None:
        """Refuse a base that can't be trained on such rows, before it is loaded.

        Args:
            packing: whether several of them are to stand in one sequence.

        Raises:
            UnsupportedError: it is of another kind than the task needs, or can't tell the rows of a sequence apart;
                the hint says which can.
        """
        if not self.takes(base):
            raise UnsupportedError(self.no_head, architecture=base.architecture, task=self.name)
        if packing and base.packs is False:
            raise UnsupportedError("task.no_packing", architecture=base.architecture)

    def takes(self, base: Base) -> bool:
        """Whether a base is of a kind that can be trained for the task; True where that can't be told."""
        return not self.autos or base.has(*self.autos)

    @abstractmethod
    def labels(self, columns: Columns) -> list[str]:
        """The label names of a training table, in the order of the model's outputs; empty where a task has none."""

    @abstractmethod
    def truth(self, columns: Columns, labels: Sequence[str]) -> Any:
        """The encoded targets of each row, e.g. int64 of shape (rows,).

        Raises:
            DataError: a value that isn't among ``labels``, or a missing one; the row is named.
        """

    @abstractmethod
    def score(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, float]:
        """Metric name -> value.

        Args:
            truth: the encoded targets, see :meth:`truth`.
            outputs: the model's outputs in the order of the rows.
            labels: the label names in the order of the outputs' columns.
        """

    @abstractmethod
    def answers(self, outputs: Any, labels: Sequence[str], rows: Sequence[Any]) -> list[dict[str, Any]]:
        """The columns of :attr:`predicts` for each of ``rows`` (see :meth:`as_rows`) from a model's outputs."""

    def metrics_for(self, columns: Columns) -> tuple[str, ...]:
        """The metric names for these rows, the first the primary one; :attr:`metrics` where rows don't decide it."""
        return self.metrics

    def learn(self, columns: Columns) -> dict[str, Any]:
        """What training rows tell before a model sees any and what it can't be used without: a scale, bins. JSON.

        It is kept as ``modelnook_learnt`` in the model's config; :attr:`Task.learnt`, :meth:`worded` and
        :meth:`settled` have it from there.
        """
        return {}

    def worded(self, rows: Sequence[Any], learnt: Mapping[str, Any]) -> Sequence[Any]:
        """Rows (see :meth:`as_rows`) as what a tokenizer reads: a text, or a dict of ``text`` and ``text_pair``.

        Where a row has several texts that are read apart, all first ones come first.
        """
        return rows

    def settled(self, outputs: Any, learnt: Mapping[str, Any], rows: Sequence[Any]) -> Any:
        """What a model's numbers for :meth:`worded` rows mean as the task's outputs, e.g. in the labels' own unit."""
        return outputs

    def texts(self, columns: Columns) -> list[str] | None:
        """What a row says as one text, to find copies, lengths and languages; None where rows hold no text."""
        parts = [columns[role] for role in self.read if role in columns]
        return [" ".join(map(as_line, cells)) for cells in zip(*parts, strict=True)]

    def pieces(self, columns: Columns) -> list[str] | None:
        """The texts that a model reads apart, each cut to its length; by default each row's :meth:`texts`."""
        return self.texts(columns)

    def written(self, columns: Columns) -> list[str]:
        """The texts that a model is to write beside those that it reads, each cut to a length of its own."""
        return []

    def sizes(self, config: Mapping[str, Any], columns: Columns) -> list[int]:
        """Where rows hold no text: the vectors that a sample of them has inside a model, such as patches or frames.

        Args:
            config: the model's ``config.json``.
        """
        return [1]

    def draws(
        self, truth: Any, outputs: Any, labels: Sequence[str], resamples: int, random: np.random.Generator
    ) -> dict[str, NDArray[np.float64]]:
        """Metric -> its value on each of ``resamples`` bootstrap samples of the rows, for those that have a quick way.

        A task whose metrics follow from sums over rows says so with :meth:`sums` and :meth:`metrics_of`; this is
        then the whole of it.
        """
        sums = self.sums(truth, outputs, labels)
        return {} if sums is None else self.metrics_of(resample(sums, resamples, random))

    def sums(self, truth: Any, outputs: Any, labels: Sequence[str]) -> NDArray[np.float64] | None:
        """What each row adds to the sums that decide the metrics, float64 of shape (rows, k); None: nothing does."""
        return None

    def metrics_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Metric -> values of shape (…) from sums over rows of shape (…, k)."""
        return {}

    def agree(self, before: Any, after: Any) -> NDArray[np.bool_]:
        """On which rows two models' outputs come to the same answer; shape (rows,)."""
        import numpy as np

        return np.array([a == b for a, b in zip(before, after, strict=True)], dtype=bool)

    def alike(self, before: Any, after: Any) -> NDArray[np.float64]:
        """Of each row, how many answers of two models are the same, and of how many; shape (rows, 2)."""
        import numpy as np

        same = self.agree(before, after)
        return np.stack([same, np.ones(len(same))], axis=1)

    def beside(self, first: Any, outputs: Any) -> Any:
        """A changed model's outputs as they can be compared with those of the ``first``: in its unit."""
        return outputs

    def tables(self, truth: Any, outputs: Any, labels: Sequence[str]) -> dict[str, Table]:
        """What an evaluation shows beside the metrics, e.g. ``per_class`` and ``confusion``."""
        return {}

    def better(self, metric: str, new: float, old: float) -> bool:
        """Whether ``new`` beats ``old`` in ``metric``."""
        return new < old if metric in LOWER_IS_BETTER else new > old

    def as_rows(self, columns: Columns, roles: Sequence[str] | None = None) -> list[Any]:
        """Inputs as a model's runtime takes them: the value of the one role, or a dict of role -> value.

        Args:
            roles: those wanted; without it all inputs that are there, and what is :attr:`scored`.
        """
        wanted = self.read + self.scored if roles is None else roles
        there = [role for role in wanted if role in columns]
        if len(there) == 1 and there[0] == self.inputs[0]:
            return list(columns[there[0]])
        return [dict(zip(there, cells, strict=True)) for cells in zip(*(columns[role] for role in there), strict=True)]

    def as_columns(self, rows: Sequence[Any]) -> dict[str, list[Any]]:
        """The other way round: role -> values."""
        if rows and isinstance(rows[0], Mapping) and set(rows[0]) & set(self.read):
            return {role: [row.get(role) for row in rows] for role in rows[0]}
        return {self.inputs[0]: list(rows)}


def require(columns: Columns, role: str) -> None:
    """Raise DataError where a row lacks its value of a role that has no empty form, such as an image."""
    missing = next((row for row, value in enumerate(columns[role]) if value is None or len(value) == 0), None)
    if missing is not None:
        raise DataError("task.missing_input", row=missing, role=role)
