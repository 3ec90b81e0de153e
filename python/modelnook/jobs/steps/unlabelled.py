"""Training with rows that have no label: a first model or TF-IDF labels them, the better of two is kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from modelnook.domain.event import Event, MetricLogged, Started
from modelnook.finetune.engine import FitResult, fit
from modelnook.jobs.steps.context import Context, Rows, take
from modelnook.jobs.steps.estimating import as_begun, estimating
from modelnook.store.files import folder, read_json, write_json

__all__ = ["Found", "fit_with_unlabelled"]

MOST = 50_000
SEED = 13


@dataclass(frozen=True, slots=True)
class Found:
    """What the unlabelled rows came to; the ``unlabelled`` of a run's report.

    Attributes:
        offered, fresh, taken: the rows given, those that aren't among the labelled ones, those trained on.
        threshold: the least probability of a row's label; None where no label was worth a thing.
        teacher: whose labels they are: ``model``, trained on the labelled rows, or ``tfidf``, whichever is better on
            the validation rows; None as above. ``agree``: whether the other one had to say the same.
        precision: the share that is right of labelled rows that were taken by the same rule and not trained on;
            None where none was. ``precision_interval`` at 95%, ``precision_rows`` how many there were.
        plain, with_them: ``metric`` of the validation rows without and with the unlabelled rows; None where none was
            sure enough. ``gain_interval`` is of their difference (positive: better), at 95%.
        kept: whether the model that was trained with them is the one kept; ``params`` are then those of the training
            without them, which a script can do again.
    """

    offered: int
    fresh: int
    taken: int
    threshold: float | None
    precision: float | None
    precision_interval: tuple[float, float] | None
    precision_rows: int
    metric: str
    plain: float
    with_them: float | None = None
    gain_interval: tuple[float, float] | None = None
    kept: bool = False
    teacher: str | None = None
    agree: bool = False
    params: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Round:
    """A trained model: its folder, what the training said, its outputs on the validation rows."""

    path: Path
    result: FitResult
    outputs: Any


def fit_with_unlabelled(
    context: Context, source: Path | None, train: Rows, evaluation: Rows
) -> tuple[FitResult, Found | None]:
    """Train without the unlabelled rows, label them, train with them; the result of the better, in ``run/model``.

    Each round goes on from its own checkpoint, and one that is done isn't trained again, until the caller removes
    the run's ``rounds``. Where it is stopped in the first round, that is the result.
    """
    plain = _round(context, source, train, evaluation, "plain", context.emit)
    if plain.result.stopped:
        return _place(context, plain, stopped=True), None
    context.phase("labelling")
    spec = _spec(context)
    chosen, found = _labelled(context, plain, train, evaluation)
    if not found.taken:
        return _place(context, plain), found
    both: Rows = {role: [*values, *chosen[role]] for role, values in train.items()}
    emit = shifted(context.emit, plain.result.steps)
    student = _round(context, source, both, evaluation, "pseudo", emit, labels=plain.result.labels)
    result = student.result
    now = spec.score(result.truth, student.outputs, result.labels)[found.metric]
    kept = spec.better(found.metric, now, found.plain)
    gain = _gained(spec, found.metric, plain, student)
    params = plain.result.params if kept else None
    found = replace(found, with_them=now, gain_interval=gain, kept=kept, params=params)
    return _place(context, student if kept else plain, stopped=result.stopped), found


def _round(
    context: Context,
    source: Path | None,
    train: Rows,
    evaluation: Rows,
    name: str,
    emit: Callable[[Event], None],
    labels: Sequence[str] | None = None,
) -> _Round:
    """A trained model; where the run is resumed after the round was finished, read from its folder."""
    run, spec = context.run, _spec(context)
    path = folder(run.rounds) / name
    notes = path.with_suffix(".json")
    said = read_json(notes) if context.resume else None
    if isinstance(said, dict) and path.is_dir():
        outputs = _outputs(context, path, evaluation)
        labels = list(said["labels"])
        truth = spec.truth(evaluation, labels)
        result = FitResult(
            path=path,
            metrics=spec.score(truth, outputs, labels),
            labels=labels,
            outputs=outputs,
            truth=truth,
            params=said["params"],
            stopped=False,
            reason="finished",
            steps=int(said["steps"]),
            epochs=0.0,
            best_step=None,
            rows_per_s=0.0,
            seconds=0.0,
            baselines=said["baselines"],
        )
        return _Round(path, result, outputs)
    result = _fit(context, source, train, evaluation, path, emit, labels)
    if not result.stopped:
        kept = {name: getattr(result, name) for name in ("labels", "params", "steps", "baselines")}
        write_json(notes, kept)
        shutil.rmtree(run.checkpoints / name, ignore_errors=True)
    return _Round(path, result, _outputs(context, path, evaluation))


def _fit(
    context: Context,
    source: Path | None,
    train: Rows,
    evaluation: Rows,
    out: Path,
    emit: Callable[[Event], None],
    labels: Sequence[str] | None,
) -> FitResult:
    """One training; two of them share a budget of time."""
    run = context.run
    checkpoints = run.checkpoints / out.name
    # Of two rounds the second has a method of its own: more rows may take another one.
    recipe = as_begun(context) if checkpoints.is_dir() else context.recipe
    limit = recipe.knobs.get("max_seconds")
    if limit:
        recipe = replace(recipe, knobs={**recipe.knobs, "max_seconds": limit / 2})
    return fit(
        recipe,
        source,
        train,
        evaluation,
        out=out,
        checkpoints_dir=checkpoints,
        emit=emit,
        stop=context.stop,
        resume=context.resume,
        on_checkpoint=lambda path: context.recorder.mirror.checkpoint(run.id, path),
        labels=labels,
        estimate=estimating(context),
    )


def shifted(emit: Callable[[Event], None], by: int) -> Callable[[Event], None]:
    """``emit`` for a second training in the same curves: its steps come after those of the first."""

    def pass_on(event: Event) -> None:
        emit(replace(event, step=event.step + by) if isinstance(event, MetricLogged) else event)

    return pass_on


def _labelled(context: Context, plain: _Round, train: Rows, evaluation: Rows) -> tuple[Rows, Found]:
    """The rows that are sure enough, with the labels that they were given; and what there is to say of them."""
    from modelnook.classic.tfidf import Tfidf
    from modelnook.measure.pseudo_labels import Said, choose, precision
    from modelnook.measure.score import wilson

    spec, labels = _spec(context), plain.result.labels
    offered = context.rows(context.recipe.unlabelled)
    rows = _fresh(spec, offered, train, evaluation)
    second = Tfidf.learn(spec, train, labels)
    metric = context.recorder.record.primary_metric or spec.metrics[0]
    found = Found(
        offered=_count(offered),
        fresh=_count(rows),
        taken=0,
        threshold=None,
        precision=None,
        precision_interval=None,
        precision_rows=0,
        metric=metric,
        plain=spec.score(plain.result.truth, plain.outputs, labels)[metric],
    )
    if second is None or not found.fresh:
        return {}, found
    truth = np.asarray(plain.result.truth)
    checked = Said.of(plain.outputs, second.outputs(spec, evaluation))
    rule, (right, total) = choose(checked, truth), precision(checked, truth)
    if rule is None:
        return {}, found
    said = Said.of(_outputs(context, plain.path, rows), second.outputs(spec, rows))
    guess, sure = said.labels(rule)
    taken = np.flatnonzero(sure).tolist()
    chosen = take(rows, taken)
    chosen["label"] = [labels[guess[i]] for i in taken]
    return chosen, replace(
        found,
        taken=len(taken),
        threshold=rule.threshold,
        teacher="model" if rule.teacher == "first" else "tfidf",
        agree=rule.agree,
        precision=right / total if total else None,
        precision_interval=wilson(right, total) if total else None,
        precision_rows=total,
    )


def _fresh(spec: Any, offered: Rows, train: Rows, evaluation: Rows) -> Rows:
    """Rows that say something, once each, and that are none of the labelled ones: neither trained nor judged on."""
    known = {_normal(text) for rows in (train, evaluation) for text in spec.texts(rows)}
    kept = []
    for row, text in enumerate(map(_normal, spec.texts(offered))):
        if text and text not in known:
            known.add(text)
            kept.append(row)
    if len(kept) > MOST:
        kept = sorted(np.random.default_rng(SEED).choice(kept, MOST, replace=False).tolist())
    return take(offered, kept)


def _normal(text: str) -> str:
    return " ".join(text.split()).casefold()


def _count(rows: Rows) -> int:
    return len(next(iter(rows.values()), ()))


def _outputs(context: Context, path: Path, rows: Rows) -> Any:
    """What the model of a folder says of rows."""
    from modelnook.runtime import runtime

    model = runtime(path, task=context.recipe.task, device=context.device())
    try:
        return model.outputs(_spec(context).as_rows(rows))
    finally:
        model.close()


def _gained(spec: Any, metric: str, plain: _Round, student: _Round) -> tuple[float, float]:
    """The 95% interval of how much better the second model is, on the same rows."""
    from modelnook.measure.score import paired_drop

    done = plain.result
    _, (low, high) = paired_drop(spec, metric, done.truth, plain.outputs, student.outputs, done.labels)
    return -high, -low


def _place(context: Context, chosen: _Round, *, stopped: bool = False) -> FitResult:
    """A copy of the model in its place: who is killed while it is scored and stored has both rounds still."""
    target = context.run.path / "model"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(chosen.path, target)
    # What the record says of the training is that of the model kept.
    context.emit(Started(context.recipe.verb, chosen.result.params))
    return replace(chosen.result, path=target, outputs=chosen.outputs, stopped=stopped)


def _spec(context: Context) -> Any:
    from modelnook.tasks import TASKS

    return TASKS.load(context.recipe.task or "", light=True)()


def report(found: Found | None) -> dict[str, Any] | None:
    """What goes into a run's report."""
    return None if found is None else {"unlabelled": asdict(found)}
