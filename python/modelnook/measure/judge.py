"""Whether a changed model still does what the original does, on the same rows."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from typing import Any

from modelnook.domain.errors import DataError, RefusedError, unknown
from modelnook.domain.event import Warned
from modelnook.domain.run import AGREEMENT, UNBOUNDED, amount
from modelnook.measure.outputs import finite
from modelnook.measure.probe import Probe
from modelnook.measure.score import agreement, paired_drop, rows_needed, score
from modelnook.messages import t
from modelnook.tasks.spec import Columns, Spec

__all__ = ["Judge", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``drop`` is how much worse than the original (a fraction; negative: better), ``interval`` its 95% interval."""

    value: float
    drop: float
    interval: tuple[float, float]
    accepted: bool


class Judge:
    """Compares with one original, in one metric, on one set of rows.

    Args:
        spec: the task's light half.
        columns: role -> values of the rows that both models answered; without the task's targets, agreement with the
            original's answers is the metric, as it is where ``metric`` says so.
        before: the original, measured.
        metric: what decides; the spec's primary metric where it is None.
        max_drop: how far it may fall, as a fraction, on the point estimate.

    Raises:
        DataError: a label that the model doesn't know, or a metric that these rows can't tell.
        UsageError: a metric that the task doesn't have.
    """

    def __init__(
        self,
        spec: Spec,
        columns: Columns,
        before: Probe,
        metric: str | None,
        max_drop: float,
    ) -> None:
        self.spec = spec
        self.rows = len(before.outputs)
        self.before = before
        self.max_drop = max_drop
        self.known = metric != AGREEMENT and any(all(role in columns for role in form) for form in spec.shapes())
        self.truth = spec.truth(columns, before.labels) if self.known else None
        self.metric = (metric or spec.metrics[0]) if self.known else AGREEMENT
        if self.known and self.metric not in spec.metrics:
            raise unknown("metric", self.metric, spec.metrics)
        self.value = self.scores(before)["metrics"][self.metric]
        if math.isnan(self.value) and finite(before.outputs):
            raise DataError("measure.untold", metric=self.metric, rows=self.rows)

    def __call__(self, after: Probe) -> Verdict:
        """Measure a changed model against the original. Outputs that aren't numbers never pass."""
        if not finite(after.outputs):
            return Verdict(0.0, 1.0, (1.0, 1.0), False)
        outputs = self.spec.beside(self.before.outputs, after.outputs)
        if not self.known:
            value, (low, high) = agreement(self.spec, self.before.outputs, outputs)
            drop, interval = 1 - value, (1 - high, 1 - low)
        else:
            value = self.spec.score(self.truth, outputs, self.before.labels)[self.metric]
            drop, interval = paired_drop(
                self.spec, self.metric, self.truth, self.before.outputs, outputs, self.before.labels
            )
        # Rounding must not refuse a drop that is just what was allowed.
        return Verdict(value, drop, interval, bool(drop <= self.max_drop + 1e-9))

    def scores(self, model: Probe) -> dict[str, Any]:
        """``{"metrics": …, "intervals": …}`` of a measured model."""
        if not self.known:
            value, interval = agreement(self.spec, self.before.outputs, model.outputs)
            return {"metrics": {AGREEMENT: value}, "intervals": {AGREEMENT: interval}}
        outputs = self.spec.beside(self.before.outputs, model.outputs)
        metrics, intervals = score(self.spec, self.truth, outputs, self.before.labels)
        return {"metrics": metrics, "intervals": intervals}

    def against(self, before: Probe) -> Judge:
        """The same with other outputs of the original's."""
        other = copy(self)
        other.before = before
        other.value = other.scores(before)["metrics"][other.metric]
        return other

    def warnings(self, verdict: Verdict) -> list[Warned]:
        """What a person should know of a verdict that passed: too few rows to tell, an interval over the limit."""
        needed, said = self._needed(), []
        if self.rows < needed:
            allowed = f"{100 * self.max_drop:.1f}"
            said.append(Warned.of("quantize.few_rows", rows=self.rows, needed=needed, points=allowed))
        if verdict.interval[1] > self.max_drop:
            worse = float(f"{verdict.drop:.3f}") > 0
            told = {"points": verdict.drop, "most": verdict.interval[1], "allowed": self.max_drop}
            amounts = {name: amount(self.metric, share) for name, share in told.items()}
            code = "quantize.may_drop_more" if worse else "quantize.may_drop"
            said.append(Warned.of(code, metric=self.metric, **amounts))
        return said

    def _needed(self) -> int:
        """How many rows could tell the drop that is allowed; 0 of a metric that doesn't count rows."""
        if self.metric in UNBOUNDED:
            return 0
        needed = rows_needed(self.max_drop)
        if self.metric != AGREEMENT:
            return needed
        # A row may hold many answers.
        answers = float(self.spec.alike(self.before.outputs, self.before.outputs)[:, 1].sum())
        return math.ceil(needed * self.rows / max(1.0, answers))

    def refusal(
        self, code: str, few: str, verdict: Verdict, *, unable: str = "", otherwise: str | None = None, **said: Any
    ) -> RefusedError:
        """The error for a model that fell too far, with its numbers.

        Args:
            code: the message; ``few`` the one that says how many rows could tell, where these can't.
            unable: what could not be measured, as a sentence.
            otherwise: the end of the advice where no drop could be allowed that is as large.
            said: what the messages say beside them.
        """
        needed = self._needed()
        unit = "%" if self.metric in UNBOUNDED else ""
        # Where all is lost, neither more rows nor a larger drop, whose most is 1, would change it.
        lost = verdict.drop >= 1
        unsure = not lost and self.rows < needed and verdict.interval[0] <= self.max_drop
        return RefusedError(
            few if unsure else code,
            metric=self.metric,
            before=f"{self.value:.3f}",
            after=f"{verdict.value:.3f}",
            points=amount(self.metric, verdict.drop),
            low=f"{100 * verdict.interval[0]:+.1f}{unit}",
            high=f"{100 * verdict.interval[1]:+.1f}{unit}",
            allowed=f"{100 * self.max_drop:g}{unit}",
            rows=self.rows,
            needed=needed,
            unable=unable,
            or_allow=(otherwise or t("measure.or_nothing")) if lost else t("measure.or_allow"),
            **said,
        )
