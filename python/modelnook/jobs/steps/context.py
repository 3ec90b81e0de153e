"""What every step works with: a job's recipe, its rows, its models, and how it says what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelnook.catalog.folder import describe
from modelnook.catalog.search import fetch, info
from modelnook.data.snapshot import load_snapshot
from modelnook.domain.dataset import DatasetRef
from modelnook.domain.errors import ConflictError, NotFoundError
from modelnook.domain.event import Progress, Warned
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.domain.recipe import Recipe
from modelnook.jobs.recorder import Recorder
from modelnook.store import Store
from modelnook.store.runs import RunFolder

__all__ = ["Context", "Rows", "measured", "parts", "take", "training_rows"]

Rows = dict[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Context:
    """What a step works with."""

    store: Store
    run: RunFolder
    recipe: Recipe
    recorder: Recorder
    resume: bool

    def emit(self, event: Any) -> None:
        """Pass an event on."""
        self.recorder.emit(event)

    def stop(self) -> bool:
        """Whether to end."""
        return self.recorder.stop()

    def hold(self) -> None:
        """Go on only while the run is this process's.

        Raises:
            ConflictError: another process has taken it over.
        """
        if self.recorder.lost:
            raise ConflictError("store.lease_lost", run=self.run.id)

    def phase(self, name: str) -> None:
        """Say what is being done now."""
        self.emit(Progress(name))

    def device(self) -> str:
        """Where a model answers: on the job's accelerator, if its runtime can."""
        return "cpu" if self.recorder.record.device in (None, "cpu") else "auto"

    def fetch(self, ref: str) -> Path:
        """A model's folder."""
        return fetch(ModelRef.parse(ref), self.emit, stop=self.stop)

    def rows(self, data: DatasetRef | None) -> Rows:
        """Role -> values of a snapshot."""
        if data is None:
            raise NotFoundError("jobs.no_snapshot", run=self.run.id)
        return dict(load_snapshot(data, self.store.home))

    def measured_on(self) -> Rows:
        """The rows to measure on: those given, or the validation rows of the run that made the model."""
        rows, split = self.rows(self.recipe.data), self.run.split()
        return take(rows, split["validation"]) if "validation" in split else rows

    def add(self, folder: Path, name: str, info: ModelInfo) -> ModelRef:
        """Make a finished folder a local model; where another task's took the name meanwhile, under a free one."""
        try:
            ref = self.store.models.add(name, folder, info)
        except ConflictError:
            free = self.store.free_name(name, info.task)
            ref = self.store.models.add(free, folder, info)
            self.emit(Warned.of("jobs.other_name", name=name, made=free))
        made = self.store.models.info(ref.id, ref.revision)
        self.store.index.put_models("local", self.store.models.all(), replace=True)
        self.recorder.mirror.model(ref.id, Path(made.path or ""))
        return ref

    def base(self) -> ModelInfo:
        """The entry of the model that is worked on; an empty one where a run starts from its rows alone."""
        return info(self.recipe.model)[0] if self.recipe.model else ModelInfo("", "", "")

    def lineage(self, folder: Path) -> ModelInfo:
        """A made model's entry: what its files say, and where it comes from."""
        base = str(ModelRef.parse(self.recipe.model)) if self.recipe.model else None
        made = describe(folder, ref="", id=self.recipe.name, source="local", updated=self.recorder.record.created)
        return replace(made, base_model=base, run=self.run.id, license=self.base().license, tags=(self.recipe.verb,))


def take(rows: Rows, positions: list[int]) -> Rows:
    """The rows at ``positions``."""
    return {role: [values[i] for i in positions] for role, values in rows.items()}


def parts(context: Context) -> tuple[Rows, Rows]:
    """``(training rows, validation rows)`` of a training run."""
    return training_rows(context.store, context.run, context.recipe)


def training_rows(store: Store, run: RunFolder, recipe: Recipe) -> tuple[Rows, Rows]:
    """:func:`parts` without a job."""
    if recipe.data is None:
        raise NotFoundError("jobs.no_snapshot", run=run.id)
    rows: Rows = dict(load_snapshot(recipe.data, store.home))
    split = run.split()
    if recipe.eval_data is not None:
        return rows, dict(load_snapshot(recipe.eval_data, store.home))
    return take(rows, split["train"]), take(rows, split["validation"])


def measured(context: Context, rows: Rows) -> dict[str, Any]:
    """How many rows were measured on, and which: part of every report."""
    return {"rows": len(next(iter(rows.values()), ())), "data": context.recipe.knobs.get("measured_on")}
