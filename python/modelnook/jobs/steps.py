"""The one place where engines are composed. Each step takes the context of a job and gives its end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelnook.catalog.folder import describe
from modelnook.catalog.search import fetch
from modelnook.data.snapshot import load_snapshot
from modelnook.domain.dataset import SLICE, Columns, DatasetRef
from modelnook.domain.errors import NotFoundError
from modelnook.domain.event import Finished, Progress
from modelnook.domain.model import ModelInfo, ModelRef
from modelnook.domain.recipe import Recipe
from modelnook.jobs.beside import after_first_step
from modelnook.jobs.recorder import Recorder
from modelnook.store import Store
from modelnook.store.runs import RunFolder

__all__ = ["execute"]

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

    def phase(self, name: str) -> None:
        """Say what is being done now."""
        self.emit(Progress(name))

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
        """Make a finished folder a local model."""
        ref = self.store.models.add(name, folder, info)
        made = self.store.models.info(ref.id, ref.revision)
        self.store.index.put_models("local", self.store.models.all(), replace=True)
        self.recorder.mirror.model(ref.id, Path(made.path or ""))
        return ref


def execute(store: Store, run: RunFolder, recipe: Recipe, recorder: Recorder, *, resume: bool) -> Finished:
    """Carry a recipe out; what it gives is the run's end."""
    steps: dict[str, Callable[[Context], Finished]] = {
        "finetune": finetune,
        "evaluate": evaluate,
        "quantize": quantize,
        "compare": compare,
    }
    return steps[recipe.verb](Context(store, run, recipe, recorder, resume))


def take(rows: Rows, positions: list[int]) -> Rows:
    """The rows at ``positions``."""
    return {role: [values[i] for i in positions] for role, values in rows.items()}


def parts(context: Context) -> tuple[Rows, Rows]:
    """``(training rows, validation rows)`` of a training run."""
    recipe = context.recipe
    rows = context.rows(recipe.data)
    split = context.run.split()
    if recipe.eval_data is not None:
        return rows, context.rows(recipe.eval_data)
    return take(rows, split["train"]), take(rows, split["validation"])


def finetune(context: Context) -> Finished:
    """Train, score with intervals beside baselines, add the model."""
    from modelnook.finetune.engine import fit

    recipe, run = context.recipe, context.run
    context.phase("loading")
    source = context.fetch(recipe.model)
    train, evaluation = parts(context)
    after_first_step(context.recorder, lambda: _check_data(context))
    out = run.path / "model"
    result = fit(
        recipe,
        source,
        train,
        evaluation,
        out=out,
        checkpoints_dir=run.checkpoints,
        emit=context.emit,
        stop=context.stop,
        resume=context.resume,
        on_checkpoint=lambda path: context.recorder.mirror.checkpoint(run.id, path),
    )
    context.phase("scoring")
    metrics, intervals, bases = _scores(context, result, train, evaluation)
    context.phase("saving")
    info = replace(
        _lineage(context, out),
        task=recipe.task,
        labels=tuple(result.labels),
        metrics=metrics,
        language=_language(context, source),
    )
    ref = context.add(out, recipe.name, info)
    if not result.stopped:
        shutil.rmtree(run.checkpoints, ignore_errors=True)
    return Finished(metrics, intervals, bases, str(ref), stopped=result.stopped)


def _scores(context: Context, result: Any, train: Rows, evaluation: Rows) -> Any:
    """``(metrics, intervals, baselines)``. Imported late: nothing of it may delay the first step."""
    from modelnook.measure.baselines import baselines
    from modelnook.measure.score import score
    from modelnook.tasks import TASKS

    spec = TASKS.load(context.recipe.task or "", light=True)()
    metrics, intervals = score(spec, result.truth, result.outputs, result.labels)
    return metrics, intervals, {**result.baselines, **baselines(spec, train, evaluation, result.labels)}


def _check_data(context: Context) -> None:
    """Say what a person should know of their rows."""
    from modelnook.data.checks import checks
    from modelnook.data.snapshot import open_snapshot
    from modelnook.tasks import TASKS

    data = context.recipe.data
    if data is None:
        return
    split = context.run.split()
    rows = open_snapshot(data, context.store.home)
    columns = Columns.of(**{role: role for role in data.columns})
    spec = TASKS.load(context.recipe.task or "", light=True)()
    texts = spec.texts({role: rows.column(role) for role in data.columns})
    if texts is not None:
        for warning in checks(rows, columns, split.get("train"), split.get("validation"), texts=texts):
            context.emit(warning)


def _lineage(context: Context, folder: Path) -> ModelInfo:
    """A made model's entry: what its files say, and where it comes from."""
    base = ModelRef.parse(context.recipe.model)
    info = describe(folder, ref="", id=context.recipe.name, source="local", updated=context.recorder.record.created)
    return replace(
        info, base_model=str(base), run=context.run.id, license=_base(context).license, tags=(context.recipe.verb,)
    )


def _base(context: Context) -> ModelInfo:
    from modelnook.catalog.search import info

    return info(context.recipe.model)[0]


def _language(context: Context, source: Path) -> tuple[str, ...]:
    return _base(context).language


def evaluate(context: Context) -> Finished:
    """Score a model on rows, beside the baselines of the run that made it."""
    from modelnook.evaluate.report import evaluate as report
    from modelnook.runtime import runtime as load
    from modelnook.tasks import TASKS

    recipe = context.recipe
    context.phase("loading")
    runtime = load(context.fetch(recipe.model), task=recipe.task, device=context.recorder.record.device or "cpu")
    rows = context.measured_on()
    spec = TASKS.load(recipe.task or "", light=True)()
    trained = _trained_on(context, recipe.model)
    _warn_of_seen(context, spec, rows, [trained])
    context.phase("evaluating")
    outputs = runtime.outputs(spec.as_rows(rows))
    context.phase("scoring")
    sliced = {role.removeprefix(SLICE): values for role, values in rows.items() if role.startswith(SLICE)}
    wanted = recipe.knobs.get("metrics")
    found = report(spec, outputs, rows, runtime.labels, train=trained, metrics=wanted, sliced=sliced)
    runtime.close()
    tables = {name: table.to_dict() for name, table in found.tables.items()}
    return Finished(found.metrics, found.intervals, found.baselines, report={**tables, **_measured(context, rows)})


def _measured(context: Context, rows: Rows) -> dict[str, Any]:
    """How many rows were measured on, and which: part of every report."""
    return {"rows": len(next(iter(rows.values()), ())), "data": context.recipe.knobs.get("measured_on")}


def _warn_of_seen(context: Context, spec: Any, rows: Rows, trained: Sequence[Rows | None]) -> None:
    """Say which of a person's rows a model was trained on; its own validation rows never are."""
    from modelnook.data.checks import leaks

    if "validation" in context.run.split():
        return
    texts = spec.texts(rows) or ()
    found = [w for one in trained if one for w in leaks(spec.texts(one) or (), texts, code="data.seen")]
    for warning in dict.fromkeys(found):
        context.emit(warning)


def _trained_on(context: Context, model: str) -> Rows | None:
    """The training rows behind a model, found along its lineage; None where they are gone."""
    from modelnook.jobs.lineage import training_run

    run = training_run(context.store, model)
    if run is None:
        return None
    recipe = run.recipe()
    if recipe is None or recipe.data is None:
        return None
    try:
        rows: Rows = dict(load_snapshot(recipe.data, context.store.home))
    except NotFoundError:
        return None
    split = run.split()
    return take(rows, split["train"]) if split.get("train") else rows


def quantize(context: Context) -> Finished:
    """Shrink, measure before and after in clean processes, refuse a drop that is too big."""
    from modelnook.quantize.compress import compress

    recipe = context.recipe
    context.phase("loading")
    source = context.fetch(recipe.model)
    rows = context.measured_on()
    out = context.run.path / "model"
    result = compress(
        source,
        out,
        scheme=recipe.knobs["to"],
        backend=recipe.knobs["backend"],
        task_name=recipe.task or "",
        rows=rows,
        max_drop=recipe.knobs["max_drop"],
        metric=context.recorder.record.primary_metric,
        emit=context.emit,
        stop=context.stop,
        probe=_probe(context),
    )
    if result.stopped:
        return Finished(stopped=True)
    report = {**result.report, "data": recipe.knobs.get("measured_on")}
    base = _base(context)
    info = replace(
        _lineage(context, out),
        task=recipe.task,
        labels=base.labels,
        metrics=report["after"]["metrics"],
        language=base.language,
        parameters=base.parameters,
    )
    ref = context.add(out, recipe.name, info)
    return Finished(report["after"]["metrics"], report["after"].get("intervals") or {}, {}, str(ref), report)


def _probe(context: Context) -> Callable[..., Any]:
    """Measures a model folder in a process of its own: its memory is its own, its caches are cold."""
    from modelnook.jobs import process
    from modelnook.measure.outputs import write_rows
    from modelnook.measure.probe import probe_args, read_probe

    def probe(path: Path, rows: list[Any]) -> Any:
        work = context.run.path / "probe"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        write_rows(work / "rows.json", rows)
        arguments = probe_args(path, work / "rows.json", work, task=context.recipe.task)
        code = process.call(arguments, context.store, context.run.log, stop=context.stop)
        try:
            return read_probe(work, code)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    return probe


def compare(context: Context) -> Finished:
    """Every model on the same rows, measured in clean processes one after another."""
    from modelnook.evaluate.compare import row_of
    from modelnook.tasks import TASKS

    recipe = context.recipe
    rows = context.measured_on()
    spec = TASKS.load(recipe.task or "", light=True)()
    _warn_of_seen(context, spec, rows, [_trained_on(context, ref) for ref in recipe.models])
    probe = _probe(context)
    table = []
    for at, ref in enumerate(recipe.models):
        context.emit(Progress("measuring", at, len(recipe.models)))
        measured = probe(context.fetch(ref), spec.as_rows(rows))
        table.append(row_of(ref, spec, rows, measured))
    return Finished(report={"models": table, **_measured(context, rows)})
