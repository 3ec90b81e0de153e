"""What the steps of making a model smaller share: the rows, the first model measured, and the judge of what is made."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelnook.domain.errors import DataError, RefusedError
from modelnook.jobs.steps.context import Context, Rows, parts, take
from modelnook.jobs.steps.probing import prober
from modelnook.jobs.steps.seen import trained_on, warn_of_seen
from modelnook.measure.judge import Judge, Verdict
from modelnook.measure.own_texts import own_columns
from modelnook.measure.probe import Probe
from modelnook.tasks.spec import Spec

__all__ = ["Made", "Work"]

MOST_ROWS = 4_000
"""Rows that are measured on; a seeded sample of more."""

SECONDS = 4.0
"""For which the speed of each model is measured by itself."""
SEED = 7

Made = dict[str, Any]
"""What a step says of its result in the report, JSON; ``before`` and ``after`` are counts of what it cut."""


@dataclass(frozen=True, slots=True)
class Work:
    """One chain.

    Attributes:
        columns: role -> values of the rows that are measured on.
        train: the rows that the model was trained on, or is to be taught on; None where they are gone.
        unlabelled: further rows without targets, or None.
        whole: every table of the person's, for what must know all their texts.
        first: the folder of the model that the chain begins with.
        before: it, measured; ``judge`` compares with it.
        probes: what was measured so far; ``measure`` measures more.
    """

    context: Context
    spec: Spec
    columns: Rows
    train: Rows | None
    unlabelled: Rows | None
    whole: tuple[Rows, ...]
    first: Path
    before: Probe
    judge: Judge
    probes: dict[Path, Probe]
    measure: Callable[[Path, list[Any]], Probe]

    @classmethod
    def of(cls, context: Context, source: Path) -> Work:
        """Read the rows and measure the first model.

        Raises:
            DataError: no rows, or labels that the model doesn't know.
            UnsupportedError: a model that can't be measured.
        """
        from modelnook.tasks import TASKS

        recipe = context.recipe
        spec = TASKS.load(recipe.task or "", light=True)()
        train, measured = _rows(context, spec, source)
        columns = _sample(measured)
        unlabelled = context.rows(recipe.unlabelled) if recipe.unlabelled else None
        probe = prober(context, SECONDS)
        context.phase("measuring")
        before = probe(source, spec.as_rows(columns))
        judge = Judge(spec, columns, before, context.recorder.record.primary_metric, recipe.knobs["max_drop"])
        whole = tuple(part for part in (train, measured, unlabelled) if part)
        return cls(context, spec, columns, train, unlabelled, whole, source, before, judge, {source: before}, probe)

    @property
    def task(self) -> str:
        """The task's name."""
        return self.spec.name

    @property
    def rows(self) -> list[Any]:
        """The rows that are measured on, as a runtime takes them."""
        return self.spec.as_rows(self.columns)

    @property
    def chosen_on(self) -> Rows | None:
        """Rows by which a checkpoint may be chosen: validation rows, never the person's test rows."""
        return self.columns if self.context.recipe.knobs.get("measured_on") == "validation" else None

    def probe(self, path: Path) -> Probe:
        """A folder measured in a clean process, once; its outputs in the order of the first model's labels."""
        if path not in self.probes:
            self.context.phase("measuring")
            self.probes[path] = _aligned(self.measure(path, self.rows), self.before.labels)
        return self.probes[path]

    def answered(self, outputs: Any, labels: list[str]) -> Probe:
        """The first model measured, with the outputs of another, in the order of the first one's labels."""
        return _aligned(replace(self.before, outputs=outputs, labels=labels), self.before.labels)

    def limited(self, outputs: Any) -> Work:
        """The same beside the first model with other outputs: had it only the tokens that a step has left."""
        before = replace(self.before, outputs=outputs)
        probes = {path: before if one is self.before else one for path, one in self.probes.items()}
        return replace(self, before=before, judge=self.judge.against(before), probes=probes)

    def with_outputs(self, path: Path, outputs: Any) -> None:
        """A folder that was measured, with other outputs: see :meth:`limited`."""
        self.probes[path] = replace(self.probe(path), outputs=outputs)

    def judged(self, path: Path) -> Verdict:
        """Whether a folder stays within the drop."""
        return self.judge(self.probe(path))

    def figures(self, path: Path) -> dict[str, Any]:
        """A folder's part of the report."""
        return {**self.probe(path).figures(), **self.judge.scores(self.probe(path))}

    def refusal(self, step: str, verdict: Verdict) -> RefusedError:
        """The error that says how far a step's best result fell."""
        return self.judge.refusal("shrink.refused", "shrink.refused_few", verdict, step=step)


def _rows(context: Context, spec: Spec, source: Path) -> tuple[Rows | None, Rows]:
    """``(training rows, rows to measure on)``; without any the model's own texts."""
    recipe = context.recipe
    if recipe.data is None and recipe.knobs.get("measured_on") == "own":
        return None, dict(own_columns(spec, source))
    if recipe.eval_data is not None or "train" in context.run.split():
        return parts(context)
    trained, measured = trained_on(context, recipe.model), context.measured_on()
    if recipe.knobs.get("measured_on") == "data":
        warn_of_seen(context, spec, measured, [trained])
    return trained, measured


def _sample(rows: Rows) -> Rows:
    count = len(next(iter(rows.values()), ()))
    if not count:
        raise DataError("shrink.no_rows")
    if count <= MOST_ROWS:
        return rows
    return take(rows, sorted(random.Random(SEED).sample(range(count), MOST_ROWS)))


def _aligned(probe: Probe, labels: list[str]) -> Probe:
    """A student may have the same labels in an order of its own."""
    outputs = probe.outputs
    if probe.labels == labels or sorted(probe.labels) != sorted(labels) or getattr(outputs, "ndim", 0) != 2:
        return probe
    order = [probe.labels.index(name) for name in labels]
    return replace(probe, outputs=outputs[:, order], labels=list(labels))
