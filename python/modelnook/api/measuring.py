"""Verbs that measure, and make smaller what they measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from modelnook.api.knobs import check_drop, seconds
from modelnook.api.reading import given_columns, spec_of
from modelnook.api.rows import default_name, noted, on_rows
from modelnook.api.training import trackers
from modelnook.domain.errors import ConflictError, UsageError, unknown
from modelnook.domain.model import ModelRef
from modelnook.domain.recipe import Recipe
from modelnook.domain.run import Comparison, Evaluation
from modelnook.domain.table import Table
from modelnook.messages import t
from modelnook.run import Run
from modelnook.store import Store

BUDGET = 120.0
"""Seconds after which no further attempt is begun."""

__all__ = ["compare", "comparison", "evaluate", "evaluation", "quantize"]


def evaluate(
    ref: str,
    data: Any = None,
    *,
    text: str | None = None,
    label: str | None = None,
    columns: dict[str, str] | None = None,
    metrics: Sequence[str] | None = None,
    slices: Sequence[str] | None = None,
    background: bool = False,
) -> Any:
    """Score a model: metrics with 95% intervals, beside baselines.

    The intervals are percentile bootstraps over the rows (Efron and Tibshirani 1993, ch. 13).

    Args:
        ref: the model.
        data: rows with labels; without them the validation rows of the run that made it, marked as used before.
        text, label: the columns of the input and of the target, where their names don't tell.
        columns: role -> column, for the other roles of a task.
        metrics: the ones to show, the first of them as the primary metric; all of the task's without it.
        slices: columns of ``data`` by whose values the primary metric is told as well.
        background: give the run at once.

    Returns:
        An :class:`~modelnook.domain.run.Evaluation`; its ``run`` is the stored run. With ``background=True`` the Run.

    Raises:
        UsageError: a metric that the task doesn't have.
        DataError: rows without labels, with others than the model's, or that can't be read.
        RefusedError: a data set of the hub whose terms must be accepted first, or that would run a script.
        NotFoundError: no such model, file or column; without ``data``, no validation rows to measure on.
        UnsupportedError: the model's task isn't known.
        ConflictError: the run's process was lost.

    >>> scored = mn.evaluate("spam", test, metrics=["accuracy", "f1_macro"])
    >>> scored.primary_metric, list(scored.metrics), scored.data["rows"]
    ('accuracy', ['accuracy', 'f1_macro'], 40)
    >>> low, high = scored.intervals["accuracy"]
    """
    from modelnook.jobs.submit import submit

    store = Store()
    wanted, cut = _listed(metrics), _listed(slices)
    given = given_columns(text, label, columns)
    recipe, split, primary = on_rows("evaluate", store, ref, data, given, part="test", slices=cut)
    known = spec_of(recipe.task).metrics
    for name in wanted:
        if name not in known:
            raise unknown("metric", name, known)
    primary = wanted[0] if wanted else primary
    recipe = replace(recipe, knobs={**recipe.knobs, "metrics": wanted or None, "metric": primary})
    run = submit(store, recipe, split=split, primary_metric=primary, note=noted(ref))
    return run if background else evaluation(run.wait())


def _listed(words: Sequence[str] | str | None) -> list[str]:
    return [w.strip() for w in words.split(",") if w.strip()] if isinstance(words, str) else list(words or ())


def evaluation(run: Run) -> Evaluation:
    """A finished evaluating run as an Evaluation.

    Args:
        run: what ``evaluate(…, background=True)`` gave.

    >>> from modelnook.api import evaluation
    >>> run = mn.evaluate("spam", test, background=True)
    >>> evaluation(run.wait()).model
    'local:spam@1'
    """
    record = run.record
    report = record.report or {}
    found = {name: d for name, d in report.items() if isinstance(d, dict)}
    tables = {n: Table(tuple(d["columns"]), tuple(map(tuple, d["rows"]))) for n, d in found.items() if d}
    return Evaluation(
        run=record.id,
        model=record.base or "",
        metrics=record.metrics,
        intervals=record.intervals,
        baselines=record.baselines,
        primary_metric=record.primary_metric or "",
        data=_scored(run),
        note=_used(run),
        per_class=tables.get("per_class"),
        confusion=tables.get("confusion"),
        slices=tables.get("slices"),
        warnings=record.warnings,
    )


def _scored(run: Run) -> dict[str, Any]:
    """The data that a run measured on, with how many of its rows were really scored."""
    record = run.record
    rows = (record.report or {}).get("rows")
    return {**(record.data or {}), **({"rows": rows} if rows else {})}


def _used(run: Run) -> str:
    measured = (run.folder.recipe() or Recipe("evaluate", "")).knobs.get("measured_on")
    return t("jobs.used_while_choosing") if measured == "validation" else ""


def quantize(
    ref: str,
    *,
    to: str = "int8",
    backend: str = "auto",
    data: Any = None,
    text: str | None = None,
    label: str | None = None,
    columns: dict[str, str] | None = None,
    max_drop: float = 0.01,
    budget: str | float | None = None,
    name: str | None = None,
    again: bool = False,
    background: bool = False,
) -> Run:
    """Make a model smaller and faster, measured before and after on the same rows.

    Args:
        ref: the model.
        to: a scheme, ``int8`` or ``int4`` (``q8_0``, ``q4_k_m`` for llama.cpp); ``auto`` takes, of all that
            stay within ``max_drop``, the best in rows a second and a single row's latency together; a backend's name
            such as ``gguf`` the best of what that makes.
        backend: ``auto`` measures those that run here; or ``onnx``, ``openvino``, ``torchao``, ``quanto`` …
        data: rows to measure on; without them the validation rows of the run that made the model, and where there are
            none either, texts of the model's own card and vocabulary. Without labels agreement is measured: the share
            of rows whose answer stays the same; of a model that predicts tokens, of places (the first 16 of a row)
            whose likeliest token does, or is four fifths as likely.
        text, label: the columns of the input and of the target, where their names don't tell.
        columns: role -> column, for the other roles of a task.
        max_drop: how far the primary metric may fall; 0.01 is one point of accuracy, or a hundredth of a perplexity,
            ``rmse`` or ``mae``. Where the 95% interval of the drop reaches further, ``.warnings`` says so.
        budget: the time after which nothing further is tried, ``"10m"``; two minutes where none is given.
        name: default ``NAME-int8``.
        again: do it anew where the same has been done.
        background: give the run at once.

    Returns:
        A finished Run with ``.model`` and ``.report``: ``before`` and ``after``, each with ``bytes``, ``p50_ms`` and
        ``p95_ms`` of one row, ``rows_per_s``, ``peak_memory_bytes``, ``metrics`` and ``intervals``.

    Raises:
        RefusedError: every attempt that there was time for fell further than ``max_drop``; the numbers are told.
        UsageError: no such scheme or backend, or a ``max_drop`` that is no share.
        UnsupportedError: a model that is quantized already or has no network, or a scheme that needs a GPU.
        MissingPackage: the backend isn't installed.
        NotFoundError, DataError: as for :func:`evaluate`.
        ConflictError: another model holds the name; or the run's process was lost.

    >>> small = mn.quantize("spam", to="int8", backend="quanto")
    >>> small.model, small.report["after"]["bytes"] < small.report["before"]["bytes"]
    ('local:spam-int8@1', True)
    """
    from modelnook.jobs.device import has_gpu
    from modelnook.jobs.submit import submit
    from modelnook.quantize import AUTO, QUANTIZERS, SCHEMES, check, ways

    store, called = Store(), to
    if backend == AUTO and to in QUANTIZERS and to not in SCHEMES:
        backend, to = to, AUTO
    check(backend, to, gpu=has_gpu)
    check_drop(max_drop)
    given = given_columns(text, label, columns)
    recipe, split, primary = on_rows("quantize", store, ref, data, given, unlabelled=True)
    source = ModelRef.parse(recipe.model)
    ways(backend, to, recipe.task, gpu=has_gpu)
    made = name or default_name(source, called)
    store.check_name(made, recipe.task)
    if made == source.id and source.source == "local":
        raise ConflictError("store.name_taken", name=made)
    limit = seconds(budget) if budget is not None else BUDGET
    knobs = {**recipe.knobs, "to": to, "backend": backend, "max_drop": max_drop, "budget": limit}
    recipe = replace(recipe, name=made, knobs=knobs, track=trackers("auto"))
    run = submit(store, recipe, split=split, primary_metric=primary, again=again, note=noted(ref))
    return run if background else run.wait()


def compare(*refs: str, data: Any = None, columns: dict[str, str] | None = None, background: bool = False) -> Any:
    """Models side by side on the same rows: quality, size, latency, and which of them nothing else beats.

    Args:
        refs: two models or more, of one task.
        data: rows with labels; without them the validation rows of the run that made the first model.
        columns: role -> column, where the names don't tell.
        background: give the run at once.

    Returns:
        A :class:`~modelnook.domain.run.Comparison`, one row a model: metrics, ``bytes``, ``p50_ms`` and ``p95_ms`` of
        one row, ``rows_per_s``, ``peak_memory_bytes``; ``front`` is the Pareto front. With ``background=True`` the Run.

    Raises:
        UsageError: fewer than two models.
        DataError, NotFoundError, UnsupportedError, ConflictError: as for :func:`evaluate`.

    >>> words = mn.finetune(data=train, method="tfidf", name="words")
    >>> both = mn.compare("spam", "words", data=test)
    >>> both.to_frame()["model"].tolist()
    ['local:spam@1', 'local:words@1']
    """
    from modelnook.catalog.search import resolve
    from modelnook.jobs.submit import submit

    if len(refs) < 2:
        raise UsageError("api.compare_two", count=len(refs))
    store = Store()
    given = dict(columns or {})
    recipe, split, primary = on_rows("compare", store, refs[0], data, given, part="test", beside=refs[1:])
    models = tuple(str(resolve(ref).ref) for ref in refs)
    recipe = replace(recipe, models=models, name=" ".join(r.rpartition(":")[2] for r in models))
    notes = dict.fromkeys(filter(None, map(noted, refs)))
    run = submit(store, recipe, split=split, primary_metric=primary, note=" ".join(notes))
    return run if background else comparison(run.wait())


def comparison(run: Run) -> Comparison:
    """A finished comparing run as a Comparison.

    Args:
        run: what ``compare(…, background=True)`` gave.

    >>> from modelnook.api import comparison
    >>> words = mn.finetune(data=train, method="tfidf", name="words")
    >>> run = mn.compare("spam", "words", data=test, background=True)
    >>> comparison(run.wait()).primary_metric
    'accuracy'
    """
    from modelnook.evaluate.compare import table_of

    record = run.record
    table, front = table_of((record.report or {}).get("models") or [], record.primary_metric or "")
    primary = record.primary_metric or ""
    return Comparison(table, front, primary, _scored(run), record.id, _used(run), record.warnings)
